"""The table behind `scopes`: what the usual scopes of the most used providers allow, in an owner's words.

Above each provider stands the page on which it describes its scopes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_STAYS: Final = "Keep working while you are away"
_WHO: Final = "Know who you are"
_EMAIL: Final = "See your e-mail address"
_PROFILE: Final = "See your name and picture"

# OpenID Connect Core 1.0, sections 5.4 and 11: the same everywhere.
EVERYWHERE: Final[Mapping[str, str]] = {
    "openid": _WHO,
    "email": _EMAIL,
    "profile": _PROFILE,
    "phone": "See your phone number",
    "address": "See your postal address",
    "offline_access": _STAYS,
    "offline.access": _STAYS,
    "offline": _STAYS,
}

BY_PROVIDER: Final[Mapping[str, Mapping[str, str]]] = {
    # https://developers.google.com/identity/protocols/oauth2/scopes
    "google": {
        "userinfo.email": _EMAIL,
        "userinfo.profile": _PROFILE,
        "https://mail.google.com/": "Read, write, send and delete all your mail in Gmail",
        "gmail.readonly": "Read your mail and settings in Gmail",
        "gmail.modify": "Read, write and send mail in Gmail, but not delete it for good",
        "gmail.send": "Send mail from your Gmail address",
        "gmail.compose": "Write drafts and send mail in Gmail",
        "gmail.insert": "Add mail to your Gmail mailbox",
        "gmail.labels": "See and change your labels in Gmail",
        "gmail.metadata": "See subjects, senders and labels of your mail, but not its text",
        "gmail.settings.basic": "Change your settings and filters in Gmail",
        "calendar": "See, change, share and delete your calendars",
        "calendar.readonly": "See your calendars",
        "calendar.events": "See and change the events in your calendars",
        "calendar.events.readonly": "See the events in your calendars",
        "contacts": "See and change your contacts",
        "contacts.readonly": "See your contacts",
        "drive": "See, change and delete all your files in Google Drive",
        "drive.readonly": "See and download all your files in Google Drive",
        "drive.file": "Work with the files in Google Drive that you choose for it",
        "drive.metadata.readonly": "See the names and details of your files in Google Drive, but not their content",
        "documents": "See and change your Google Docs",
        "documents.readonly": "See your Google Docs",
        "spreadsheets": "See and change your Google Sheets",
        "spreadsheets.readonly": "See your Google Sheets",
        "presentations": "See and change your Google Slides",
        "presentations.readonly": "See your Google Slides",
        "forms.body.readonly": "See your Google Forms",
        "forms.responses.readonly": "See the answers to your Google Forms",
        "tasks": "See and change your tasks",
        "tasks.readonly": "See your tasks",
        "adwords": "See and change your Google Ads campaigns",
        "analytics": "See and change your Google Analytics data",
        "analytics.readonly": "See your Google Analytics data",
        "webmasters": "See and change your sites in Search Console",
        "webmasters.readonly": "See your sites in Search Console",
        "youtube": "Manage your YouTube account",
        "youtube.readonly": "See your YouTube account",
        "youtube.upload": "Upload videos to your YouTube account",
        "yt-analytics.readonly": "See the reports on your YouTube channel",
        "business.manage": "Manage your Business Profile on Google",
        "content": "Manage your products in Merchant Center",
        "bigquery": "See and change your data in BigQuery",
        "bigquery.readonly": "See your data in BigQuery",
        "cloud-platform": "See, change and delete everything that you may in Google Cloud",
        "cloud-platform.read-only": "See everything that you may in Google Cloud",
        "admin.directory.user.readonly": "See the people of your organisation",
        "admin.directory.group.readonly": "See the groups of your organisation",
    },
    # https://learn.microsoft.com/graph/permissions-reference
    "microsoft": {
        ".default": "Do what your organisation has already allowed this app",
        "User.Read": "Sign you in and see your profile",
        "User.ReadBasic.All": "See names and addresses of the people in your organisation",
        "User.Read.All": "See the profiles of the people in your organisation",
        "Mail.Read": "Read your mail",
        "Mail.ReadWrite": "Read, write and delete your mail",
        "Mail.Send": "Send mail as you",
        "MailboxSettings.Read": "See the settings of your mailbox",
        "Calendars.Read": "See your calendars",
        "Calendars.ReadWrite": "See, change and delete the events in your calendars",
        "Contacts.Read": "See your contacts",
        "Contacts.ReadWrite": "See and change your contacts",
        "Files.Read": "See your files in OneDrive",
        "Files.Read.All": "See all files that you may see in OneDrive and SharePoint",
        "Files.ReadWrite": "See, change and delete your files in OneDrive",
        "Files.ReadWrite.All": "See, change and delete all files that you may in OneDrive and SharePoint",
        "Sites.Read.All": "See the SharePoint sites that you may see",
        "Sites.ReadWrite.All": "See and change the SharePoint sites that you may change",
        "Tasks.ReadWrite": "See and change your tasks",
        "Team.ReadBasic.All": "See the names of your teams",
        "Chat.Read": "Read your chats in Teams",
        "ChannelMessage.Send": "Send messages to Teams channels as you",
        "OnlineMeetings.Read": "See your online meetings",
        "Directory.Read.All": "See the directory of your organisation",
        "IMAP.AccessAsUser.All": "Read and change your mail",
        "SMTP.Send": "Send mail as you",
    },
    # https://docs.slack.dev/reference/scopes
    "slack": {
        "channels:read": "See the public channels of your workspace",
        "channels:history": "Read messages in public channels",
        "groups:read": "See the private channels that you are in",
        "groups:history": "Read messages in private channels that you are in",
        "im:history": "Read your direct messages",
        "chat:write": "Send messages",
        "files:read": "See files that were shared",
        "files:write": "Upload, change and delete files",
        "users:read": "See the people of your workspace",
        "users:read.email": "See the e-mail addresses of the people of your workspace",
        "team:read": "See the name and address of your workspace",
        "reactions:read": "See reactions to messages",
        "search:read": "Search your workspace",
    },
    # https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_tokens_scopes.htm
    "salesforce": {
        "api": "See and change your data in Salesforce",
        "refresh_token": _STAYS,
        "id": "See your name, address and organisation",
        "web": "Open Salesforce in a browser as you",
        "full": "Do in Salesforce everything that you may",
        "chatter_api": "See and change your Chatter data",
        "wave_api": "See and change your CRM Analytics data",
        "cdp_query_api": "Query your Data Cloud data",
    },
    # https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
    "hubspot": {
        "oauth": _WHO,
        "crm.objects.contacts.read": "See your contacts in HubSpot",
        "crm.objects.contacts.write": "Change your contacts in HubSpot",
        "crm.objects.companies.read": "See your companies in HubSpot",
        "crm.objects.companies.write": "Change your companies in HubSpot",
        "crm.objects.deals.read": "See your deals in HubSpot",
        "crm.objects.deals.write": "Change your deals in HubSpot",
        "crm.objects.owners.read": "See who is responsible for what in HubSpot",
        "crm.lists.read": "See your lists in HubSpot",
        "forms": "See and change your forms in HubSpot",
        "tickets": "See and change your tickets in HubSpot",
        "content": "See and change your pages and mails in HubSpot",
    },
    # https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
    "github": {
        "repo": "See and change all your repositories, private ones included",
        "public_repo": "See and change your public repositories",
        "read:user": "See your profile",
        "user": "See and change your profile",
        "user:email": "See your e-mail addresses",
        "read:org": "See your organisations and teams",
        "gist": "Write gists",
        "workflow": "Change the workflows of your repositories",
        "notifications": "See your notifications",
        "read:packages": "Download packages",
    },
    # https://docs.gitlab.com/integration/oauth_provider/#view-all-authorized-applications
    "gitlab": {
        "api": "See and change everything that you may in GitLab",
        "read_api": "See everything that you may in GitLab",
        "read_user": "See your profile",
        "read_repository": "Read your repositories",
        "write_repository": "Read and change your repositories",
        "read_registry": "Download container images",
    },
    # https://developer.atlassian.com/cloud/jira/platform/scopes-for-oauth-2-3LO-and-forge-apps/
    "atlassian": {
        "read:me": "See your profile",
        "read:jira-work": "See projects and issues in Jira",
        "write:jira-work": "Create and change issues in Jira",
        "read:jira-user": "See the people in Jira",
        "manage:jira-project": "Manage projects in Jira",
        "manage:jira-configuration": "Manage the settings of Jira",
        "read:confluence-content.all": "Read pages in Confluence",
        "write:confluence-content": "Write pages in Confluence",
        "search:confluence": "Search Confluence",
    },
    # https://developer.xero.com/documentation/guides/oauth2/scopes
    "xero": {
        "accounting.transactions": "See and change your invoices, bills and payments",
        "accounting.transactions.read": "See your invoices, bills and payments",
        "accounting.contacts": "See and change your contacts",
        "accounting.contacts.read": "See your contacts",
        "accounting.settings": "See and change the settings of your accounts",
        "accounting.settings.read": "See the settings of your accounts",
        "accounting.reports.read": "See your reports",
        "accounting.journals.read": "See your journals",
        "accounting.attachments": "See and change attached files",
        "payroll.employees": "See and change your employees",
        "files": "See and change your files",
    },
    # https://developer.intuit.com/app/developer/qbo/docs/learn/scopes
    "quickbooks": {
        "com.intuit.quickbooks.accounting": "See and change your company's books in QuickBooks",
        "com.intuit.quickbooks.payment": "Take payments through QuickBooks",
    },
    # https://developers.zoom.us/docs/integrations/oauth-scopes/
    "zoom": {
        "user:read": "See your profile",
        "user:read:user": "See your profile",
        "meeting:read": "See your meetings",
        "meeting:read:meeting": "See your meetings",
        "meeting:write": "Plan and change your meetings",
        "meeting:write:meeting": "Plan meetings for you",
        "recording:read": "See your cloud recordings",
        "webinar:read": "See your webinars",
    },
    # https://www.dropbox.com/developers/documentation/http/documentation
    "dropbox": {
        "account_info.read": "See your name and account",
        "files.metadata.read": "See the names of your files and folders",
        "files.metadata.write": "Change the details of your files and folders",
        "files.content.read": "Read your files",
        "files.content.write": "Change and delete your files",
        "sharing.read": "See what you share",
        "sharing.write": "Change what you share",
    },
    # https://developer.box.com/guides/api-calls/permissions-and-errors/scopes/
    "box": {
        "root_readonly": "Read all your files and folders in Box",
        "root_readwrite": "Read, change and delete all your files and folders in Box",
        "manage_users": "Manage the people of your company in Box",
    },
    # https://developer.spotify.com/documentation/web-api/concepts/scopes
    "spotify": {
        "user-read-email": _EMAIL,
        "user-read-private": "See your country and subscription",
        "user-read-recently-played": "See what you have played",
        "user-top-read": "See your top artists and songs",
        "user-library-read": "See your library",
        "playlist-read-private": "See your private playlists",
        "playlist-modify-public": "Change your public playlists",
        "playlist-modify-private": "Change your private playlists",
    },
    # https://learn.microsoft.com/linkedin/shared/authentication/getting-access
    "linkedin": {
        "r_liteprofile": _PROFILE,
        "r_basicprofile": _PROFILE,
        "r_emailaddress": _EMAIL,
        "w_member_social": "Post and comment as you",
        "r_organization_social": "See the posts of your organisation's page",
        "w_organization_social": "Post as your organisation",
        "rw_organization_admin": "Manage your organisation's page and see its reports",
        "r_ads": "See your ad accounts",
        "rw_ads": "Manage your ad accounts",
        "r_ads_reporting": "See the reports on your ads",
    },
    # https://docs.x.com/fundamentals/authentication/guides/v2-authentication-mapping
    "x": {
        "tweet.read": "See the posts that you may see",
        "tweet.write": "Post as you",
        "users.read": "See profiles, yours included",
        "follows.read": "See who follows you and whom you follow",
        "like.read": "See the posts that you like",
        "dm.read": "Read your direct messages",
        "dm.write": "Send direct messages as you",
    },
    # https://www.zoho.com/crm/developer/docs/api/v8/scopes.html
    "zoho": {
        "AaaServer.profile.READ": "See your profile",
        "ZohoCRM.modules.ALL": "See and change your data in Zoho CRM",
        "ZohoCRM.modules.READ": "See your data in Zoho CRM",
        "ZohoCRM.settings.READ": "See the settings of Zoho CRM",
        "ZohoCRM.users.READ": "See the people in Zoho CRM",
        "ZohoBooks.fullaccess.all": "See and change your books in Zoho Books",
    },
    # https://airtable.com/developers/web/api/scopes
    "airtable": {
        "data.records:read": "See the records in your bases",
        "data.records:write": "Change the records in your bases",
        "schema.bases:read": "See how your bases are built",
    },
    # https://discord.com/developers/docs/topics/oauth2
    "discord": {"identify": "See your name and picture", "guilds": "See which servers you are in"},
    # https://linear.app/developers/oauth-2-0-authentication
    "linear": {"read": "See your data in Linear", "write": "Change your data in Linear"},
    # https://dev.twitch.tv/docs/authentication/scopes/
    "twitch": {"user:read:email": _EMAIL, "channel:read:subscriptions": "See who subscribes to your channel"},
}
