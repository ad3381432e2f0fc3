package connector

import (
	"encoding/json"
	"net/http"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
)

// page answers GET /. Whoever looks holds nothing of the run while the answer is sent.
func (h *health) page(w http.ResponseWriter, _ *http.Request) {
	status := h.overview()
	body, err := status.HTML()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	page.Headers(w.Header())
	_, _ = w.Write(body)
}

// statusz answers GET /status. It is 200 whatever the status is: /readyz is for those
// who ask whether.
func (h *health) statusz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(h.overview())
}
