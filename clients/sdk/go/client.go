package otternauts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// attempts is how often one request is sent at most.
const attempts = 5

// StatusError is an answer that is an error. Status.Reason is for programs: NotFound, Conflict, Invalid.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// Status is everything the server said.
	Status Status
	// RetryAfter is how long the server asks to wait; zero when it does not say.
	RetryAfter time.Duration

	hasRetryAfter bool
}

// Error is the server's message.
func (e *StatusError) Error() string {
	if e.Status.Message == "" {
		return "the server answered " + strconv.Itoa(e.Code)
	}
	return e.Status.Message
}

// IsReason is true for a StatusError with this reason, for example IsReason(err, "NotFound").
func IsReason(err error, reason string) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status.Reason == reason
}

// Client is a connection to one server, safe for concurrent use. Make one with Load, or by hand.
type Client struct {
	// Server is its URL, for example https://127.0.0.1:7443.
	Server string
	// Token is a bearer token that stays as it is.
	Token string
	// Credentials are used when there is no Token: a source that may be asked again.
	Credentials *Credentials
	// Namespace is used by handles that name none.
	Namespace string
	// HTTP is http.DefaultClient when nil.
	HTTP *http.Client
}

// Request sends one request, again where that is safe, and decodes the answer into out unless that is nil.
func (c *Client) Request(ctx context.Context, method, path string, query url.Values, mediaType string, body, out any) error {
	response, err := c.send(ctx, method, path, query, mediaType, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(out)
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, mediaType string, body any) (*http.Response, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	target := strings.TrimRight(c.Server, "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", "application/json")
		request.Header.Set("User-Agent", "otternauts-go/0.1")
		bearer, err := c.bearer(ctx)
		if err != nil {
			return nil, err
		}
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		if body != nil {
			request.Header.Set("Content-Type", mediaType)
		}
		wait := backoff(attempt)
		response, err := client.Do(request)
		if err == nil && response.StatusCode < 300 {
			return response, nil
		}
		again := method == http.MethodGet
		if err == nil {
			status := statusError(response)
			again, wait = c.again(status, method, attempt, bearer, wait)
			err = status
		}
		if attempt >= attempts || !again || ctx.Err() != nil {
			return nil, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *Client) bearer(ctx context.Context) (string, error) {
	if c.Token != "" || c.Credentials == nil {
		return c.Token, nil
	}
	return c.Credentials.get(ctx)
}

// again says whether a refused request may be sent again, and after how long. What was not looked at by the server may: after 401 with
// a newer token, after 429, and after a 5xx that says Retry-After. After another 5xx only a read may.
func (c *Client) again(status *StatusError, method string, attempt int, bearer string, wait time.Duration) (bool, time.Duration) {
	if status.Code == http.StatusUnauthorized && attempt == 1 && c.Token == "" && c.Credentials != nil {
		c.Credentials.refused(bearer)
		return true, 0
	}
	if status.hasRetryAfter {
		wait = status.RetryAfter
	}
	failed := status.Code >= 500 && (method == http.MethodGet || status.hasRetryAfter)
	return status.Code == http.StatusTooManyRequests || failed, wait
}

func statusError(response *http.Response) *StatusError {
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	found := &StatusError{Code: response.StatusCode}
	if json.Unmarshal(text, &found.Status) != nil || found.Status.Kind != "Status" {
		// A proxy in between, or a plain 404: the text is the message.
		found.Status = Status{Message: strings.TrimSpace(string(text))}
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		found.RetryAfter, found.hasRetryAfter = time.Duration(seconds)*time.Second, true
	} else if details := found.Status.Details; details != nil && details.RetryAfterSeconds != nil {
		found.RetryAfter, found.hasRetryAfter = time.Duration(*details.RetryAfterSeconds)*time.Second, true
	}
	return found
}

// backoff doubles from 100 ms to 10 s, with some chance in it.
func backoff(attempt int) time.Duration {
	longest := min(100*time.Millisecond<<min(attempt-1, 10), 10*time.Second)
	return longest/2 + rand.N(longest/2)
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
