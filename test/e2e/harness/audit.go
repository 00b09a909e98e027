package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// InstallNamespace is where the manifests under deploy/ put berth.
const InstallNamespace = "berth-system"

// auditPolicy notes what the accounts of InstallNamespace ask for, and nothing
// of anyone else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:` + InstallNamespace + `"]
- level: None
`

// Request is one request that the API server has noted.
type Request struct {
	User      authenticationv1.UserInfo `json:"user"`
	Agent     string                    `json:"userAgent"`
	URI       string                    `json:"requestURI"`
	Verb      string                    `json:"verb"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// Resource is the resource as RBAC writes it, with its subresource.
func (r *Request) Resource() string {
	if r.ObjectRef.Subresource == "" {
		return r.ObjectRef.Resource
	}
	return r.ObjectRef.Resource + "/" + r.ObjectRef.Subresource
}

func (r *Request) String() string {
	return fmt.Sprintf("%d %s %s by %s", r.ResponseStatus.Code, r.Verb, r.URI, r.Agent)
}

func (c *ControlPlane) auditLog() string { return filepath.Join(c.Dir, "audit.log") }

// auditArgs writes the audit policy and returns the API server's flags for it.
func (c *ControlPlane) auditArgs() ([]string, error) {
	path := filepath.Join(c.Dir, "audit-policy.yaml")
	return []string{"--audit-policy-file=" + path, "--audit-log-path=" + c.auditLog()},
		os.WriteFile(path, []byte(auditPolicy), 0o644)
}

// Requests are all requests that the accounts of InstallNamespace have made.
func (c *ControlPlane) Requests() ([]Request, error) {
	file, err := os.Open(c.auditLog())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var request Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return nil, err
		}
		all = append(all, request)
	}
	return all, lines.Err()
}
