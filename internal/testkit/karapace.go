package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// Karapace carries any request to the registry, which then answers as Karapace
// 6.2.0 did when the connector was tried on it: 404 with its codes and messages,
// the keys of every JSON object sorted, those of a schema's text too, and a
// verdict on compatibility that has messages only where it is no, and names no
// field in them. The verdict is a real one, unlike srfake's.
func (r *Registry) Karapace() http.RoundTripper {
	return InProcess{http.HandlerFunc(r.answerAsKarapace)}
}

// checked are the requests whose schema is compared with the latest version.
var checked = regexp.MustCompile(`^(/compatibility)?/subjects/([^/]+)/versions(/[^/]+)?$`)

func (r *Registry) answerAsKarapace(w http.ResponseWriter, req *http.Request) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			say(w, http.StatusInternalServerError, map[string]any{"message": err.Error()})
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	if part := checked.FindStringSubmatch(req.URL.Path); part != nil && req.Method == http.MethodPost {
		asked, subject := part[1] != "", part[2]
		latest, known := r.latest(subject)
		reason := ""
		if known {
			reason = incompatibility(body, latest)
		}
		switch {
		case asked && !r.SubjectExists(subject):
			notFound(w, 40401, fmt.Sprintf("Subject '%s' not found.", subject))
			return
		case asked && reason == "":
			say(w, http.StatusOK, map[string]any{"is_compatible": true})
			return
		case asked:
			say(w, http.StatusOK, map[string]any{"is_compatible": false, "messages": []string{reason}})
			return
		case reason != "":
			say(w, http.StatusConflict, map[string]any{
				"error_code": http.StatusConflict,
				"message":    "Incompatible schema, compatibility_mode=BACKWARD. Incompatibilities: " + reason,
			})
			return
		}
	}
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, req)
	var content any
	decode := json.NewDecoder(answer.Body)
	decode.UseNumber()
	if err := decode.Decode(&content); err != nil {
		say(w, http.StatusInternalServerError, map[string]any{"message": err.Error()})
		return
	}
	if object, ok := content.(map[string]any); ok {
		switch fmt.Sprint(object["error_code"]) {
		case "40401":
			object["message"] = "Subject not found."
		case "40402":
			object["message"] = "Version not found."
		}
		if text, ok := object["schema"].(string); ok {
			var schema any
			if err := json.Unmarshal([]byte(text), &schema); err == nil {
				object["schema"] = string(sorted(schema))
			}
		}
	}
	say(w, answer.Code, content)
}

// latest is the text of a subject's latest version.
func (r *Registry) latest(subject string) (text string, known bool) {
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/subjects/"+subject+"/versions/latest", nil))
	var latest sr.SubjectSchema
	if answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &latest) != nil {
		return "", false
	}
	return latest.Schema.Schema, true
}

// incompatibility says why the schema in a request's body cannot read what was
// written with another one, "" if it can.
func incompatibility(body []byte, written string) string {
	var request struct{ Schema string }
	if err := json.Unmarshal(body, &request); err != nil {
		return err.Error()
	}
	reader, err := avro.ParseBytesWithCache([]byte(request.Schema), "", new(avro.SchemaCache))
	writer, err2 := avro.ParseBytesWithCache([]byte(written), "", new(avro.SchemaCache))
	if err := errors.Join(err, err2); err != nil {
		return err.Error()
	}
	if err := avro.NewSchemaCompatibility().Compatible(reader, writer); err != nil {
		return "reader union lacking writer type: RECORD"
	}
	return ""
}

func notFound(w http.ResponseWriter, code int, message string) {
	say(w, http.StatusNotFound, map[string]any{"error_code": code, "message": message})
}

func say(w http.ResponseWriter, status int, content any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	_, _ = w.Write(sorted(content)) // to a recorder
}

// sorted is a value as JSON. Package json sorts the keys of maps.
func sorted(content any) []byte {
	var text bytes.Buffer
	encode := json.NewEncoder(&text)
	encode.SetEscapeHTML(false)
	if err := encode.Encode(content); err != nil {
		panic(err) // it came from JSON
	}
	return bytes.TrimSpace(text.Bytes())
}
