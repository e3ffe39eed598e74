# Which cluster, and how images get there. Sourced by helm/e2e/run and demo/lib.sh.
#   KUBECONFIG            the cluster. It needs Kubernetes 1.34, metrics-server, and the right to make CRDs
#   JANUS_E2E_IMPORT      the command that brings an image's archive there, which is its last argument; for a cluster of
#                         kind, `kind load image-archive` is meant
#   JANUS_CLUSTER_RECIPE  without KUBECONFIG: a folder whose `node-up` starts a cluster with containerd in
#                         $JANUS_K8S_DIR, within the network namespace $JANUS_K8S_NETNS, and prints the prefix by which
#                         commands get there; whose `node-down` ends it; and whose `build`, if there is one, makes
#                         what they need
# shellcheck shell=bash disable=SC2034

cluster_is_ours() { [[ -z ${KUBECONFIG:-} ]]; }

# cluster_is_named: whether one of the variables says which.
cluster_is_named() {
  if cluster_is_ours && [[ -z ${JANUS_CLUSTER_RECIPE:-} ]]; then
    printf '%s: no cluster. KUBECONFIG is to name one, such as kind makes, or JANUS_CLUSTER_RECIPE a folder that starts one; helm/e2e/cluster.sh says more\n' "$0" >&2
    return 1
  fi
}

# find_cluster: sets `prefix`, by which commands get there (nothing with KUBECONFIG), and exports JANUS_E2E_IMPORT.
find_cluster() {
  local context
  prefix=
  if cluster_is_ours; then
    scripts/tools containerd runc iptables /usr/lib/cni/bridge
    if [[ -x $JANUS_CLUSTER_RECIPE/build ]]; then
      "$JANUS_CLUSTER_RECIPE/build" node > /dev/null
    fi
    export JANUS_E2E_IMPORT="ctr --address $JANUS_K8S_DIR/containerd.sock --namespace k8s.io images import"
    prefix=$("$JANUS_CLUSTER_RECIPE/node-up")
    return
  fi
  context=$(kubectl config current-context)
  if [[ -z ${JANUS_E2E_IMPORT:-} && $context == kind-* ]]; then
    JANUS_E2E_IMPORT="kind load image-archive --name ${context#kind-}"
  fi
  if [[ -z ${JANUS_E2E_IMPORT:-} ]]; then
    printf '%s: how do images get to the nodes of %s? JANUS_E2E_IMPORT is to be the command\n' "$0" "$context" >&2
    return 1
  fi
  export JANUS_E2E_IMPORT
}

# import_images FILE: brings the images to the nodes that FILE lists as scripts/image prints them.
import_images() {
  local name id archive
  while read -r name id archive; do
    $JANUS_E2E_IMPORT "$archive" < /dev/null > /dev/null
    printf '  saw: %s imported, %s\n' "$name" "$id"
  done < "$1"
}
