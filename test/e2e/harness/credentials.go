package harness

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users of the test's cluster. Each has a token; what they may do is
// RBAC's own: the admin through system:masters, kube-scheduler through the
// roles that kube-apiserver creates for it, berth through role() in rbac.go.
const (
	userAdmin     = "admin"
	userScheduler = "system:kube-scheduler"
	userBerth     = "berth"
)

type credentials struct {
	serviceAccountKey string
	tokenFile         string
	tokens            map[string]string
}

// newCredentials writes the service-account key and the token file into dir.
func newCredentials(dir string) (*credentials, error) {
	c := &credentials{
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		tokenFile:         filepath.Join(dir, "tokens.csv"),
		tokens:            map[string]string{},
	}
	if err := writeServiceAccountKey(c.serviceAccountKey); err != nil {
		return nil, err
	}
	var lines strings.Builder
	for _, user := range []string{userAdmin, userScheduler, userBerth} {
		token := make([]byte, 16)
		if _, err := rand.Read(token); err != nil {
			return nil, err
		}
		c.tokens[user] = hex.EncodeToString(token)
		fmt.Fprintf(&lines, "%s,%s,%s", c.tokens[user], user, user)
		if user == userAdmin {
			lines.WriteString(",system:masters")
		}
		lines.WriteString("\n")
	}
	return c, os.WriteFile(c.tokenFile, []byte(lines.String()), 0o600)
}

func writeServiceAccountKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

// writeKubeconfig writes a kubeconfig for one user; caFile and token may be
// empty, as they are behind a proxy that speaks plain HTTP.
func writeKubeconfig(path, server, caFile, user, token string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: server, CertificateAuthority: caFile}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: user}
	config.CurrentContext = "e2e"
	return clientcmd.WriteToFile(*config, path)
}

// WritePlainKubeconfig writes a kubeconfig for a proxy that speaks plain HTTP
// and brings the token itself.
func WritePlainKubeconfig(path, server string) error {
	return writeKubeconfig(path, server, "", userBerth, "")
}
