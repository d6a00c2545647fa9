"""The rules of a new consent: request, account, session, payload."""
