// Read a mailbox with the access token of a connection, without a line about tokens.
//
// Save the output of `token-refresh credentials gmail-alice --token-url URL` as a file and point to it:
//
//	export GOOGLE_APPLICATION_CREDENTIALS=gmail-alice.json
//
// The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token. Needs
// golang.org/x/oauth2 0.6.0 or later: before, token_url had to be Google's own.
//
// Go's libraries do not ask again on a 401: let the job fail and run again, or take token_source beside this file.
package main

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"
)

func main() {
	service, err := gmail.NewService(context.Background(), option.WithScopes(gmail.GmailReadonlyScope))
	if err != nil {
		log.Fatal(err)
	}
	list, err := service.Users.Messages.List("me").MaxResults(5).Do()
	if err != nil {
		log.Fatal(err)
	}
	for _, found := range list.Messages {
		message, err := service.Users.Messages.Get("me", found.Id).Format("metadata").MetadataHeaders("Subject").Do()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.Payload.Headers[0].Value)
	}
}
