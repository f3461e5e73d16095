# Keys, certificates and kubeconfigs of the cluster, in the current folder.

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -days 30 -subj "/CN=$1" \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
}

# NAME AUTHORITY SUBJECT [SUBJECT-ALTERNATIVE-NAMES]
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$3" 2>/dev/null
  printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s\n' "${4:+subjectAltName=$4}" >"$1.extensions"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$1.extensions" -out "$1.crt" 2>/dev/null
}

# NAME SUBJECT
kubeconfig() {
  certificate "$1" ca "$2"
  cat >"$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: nodes, cluster: {server: "https://$(address n1):6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: user, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: nodes, context: {cluster: nodes, user: user}}]
current-context: nodes
END
}

authority ca
authority front-proxy-ca
certificate apiserver ca /CN=kube-apiserver \
  "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:10.96.0.1,IP:$(address n1)"
certificate front-proxy-client front-proxy-ca /CN=front-proxy-client
certificate kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client
openssl genrsa -out service-accounts.key 2048 2>/dev/null
openssl rsa -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
kubeconfig admin /O=system:masters/CN=admin
kubeconfig controller-manager /CN=system:kube-controller-manager
kubeconfig scheduler /CN=system:kube-scheduler
kubeconfig kube-proxy /CN=system:kube-proxy
for node in $nodes; do kubeconfig "kubelet-$node" "/O=system:nodes/CN=system:node:$node"; done
