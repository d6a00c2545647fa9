// Read a mailbox with a token that is read from Secret Manager whenever less than five minutes of it are left.
//
//	CONNECTION=gmail-alice REFRESH_TOPIC=token-refresh go run .
//
// The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token and, to ask
// for a refresh after a 401, roles/pubsub.publisher on the topic (leave REFRESH_TOPIC unset where it may not).
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"
)

// connection is an oauth2.TokenSource, and a RoundTripper that tries once more after a 401.
type connection struct {
	job                  *http.Client // authorized as the job's own service account
	project, name, topic string

	mu    sync.Mutex
	token *oauth2.Token
	asked time.Time
}

// Token returns the stored token; it is read again five minutes before its end.
func (c *connection) Token() (*oauth2.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != nil && time.Until(c.token.Expiry) > 5*time.Minute {
		return c.token, nil
	}
	token, err := c.read()
	if err == nil {
		c.token = token
	}
	return token, err
}

// RoundTrip sends a request with the token, and once more with another one if that is refused.
func (c *connection) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := c.Token()
	if err != nil {
		return nil, err
	}
	reply, err := send(request, token)
	if err != nil || reply.StatusCode != http.StatusUnauthorized || (request.Body != nil && request.GetBody == nil) {
		return reply, err
	}
	reply.Body.Close()
	if token, err = c.another(token.AccessToken); err != nil {
		return nil, err
	}
	return send(request, token)
}

func send(request *http.Request, token *oauth2.Token) (*http.Response, error) {
	copied := request.Clone(request.Context())
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		copied.Body = body
	}
	token.SetAuthHeader(copied)
	return http.DefaultTransport.RoundTrip(copied)
}

// read gets the newest version of the secret: the document is an oauth2.Token as it stands.
func (c *connection) read() (*oauth2.Token, error) {
	url := fmt.Sprintf("https://secretmanager.googleapis.com/v1/projects/%s/secrets/%s-access-token/versions/latest:access",
		c.project, c.name)
	var answer struct{ Payload struct{ Data string } }
	if err := c.call("GET", url, nil, &answer); err != nil {
		return nil, err
	}
	payload, err := base64.StdEncoding.DecodeString(answer.Payload.Data)
	if err != nil {
		return nil, err
	}
	token := new(oauth2.Token)
	return token, json.Unmarshal(payload, token)
}

// another returns a token other than the refused one: the newest, or one that is asked for and waited for.
func (c *connection) another(refused string) (*oauth2.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 0; n < 30; n++ {
		token, err := c.read()
		if err != nil {
			return nil, err
		}
		if token.AccessToken != refused {
			c.token = token
			return token, nil
		}
		if n == 0 {
			if c.topic == "" || time.Since(c.asked) < time.Minute {
				break
			}
			c.asked = time.Now()
			if err := c.ask(); err != nil {
				return nil, err
			}
			continue
		}
		time.Sleep(2 * time.Second)
	}
	return nil, fmt.Errorf("the access token of %[1]s is refused and there is no newer one: the newest event about "+
		"%[1]s on the topic token-refresh-events says why and what to do; so does the status page", c.name)
}

func (c *connection) ask() error {
	wanted, _ := json.Marshal(map[string]any{"connections": []string{c.name}, "force": true})
	message := map[string]any{"messages": []any{map[string]string{"data": base64.StdEncoding.EncodeToString(wanted)}}}
	url := fmt.Sprintf("https://pubsub.googleapis.com/v1/projects/%s/topics/%s:publish", c.project, c.topic)
	return c.call("POST", url, message, &struct{}{})
}

func (c *connection) call(method, url string, body, answer any) error {
	encoded, _ := json.Marshal(body)
	request, err := http.NewRequest(method, url, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == "GET" {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	reply, err := c.job.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(reply.Body, 500))
		return fmt.Errorf("%s %s: %s: %s", method, url, reply.Status, text)
	}
	return json.NewDecoder(reply.Body).Decode(answer)
}

func main() {
	ctx := context.Background()
	job, err := google.DefaultClient(ctx, "https://www.googleapis.com/auth/cloud-platform")
	if err != nil {
		log.Fatal(err)
	}
	source := &connection{
		job: job, project: os.Getenv("GOOGLE_CLOUD_PROJECT"), name: os.Getenv("CONNECTION"), topic: os.Getenv("REFRESH_TOPIC"),
	}
	service, err := gmail.NewService(ctx, option.WithHTTPClient(&http.Client{Transport: source}))
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
