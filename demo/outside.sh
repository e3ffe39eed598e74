# Janus behind the gateway, and requests that come from this machine. Sourced after demo/lib.sh by the steps that ask so,
# once the gateway is up.
#   JANUS_DEMO_PROXIES   with KUBECONFIG: the networks that the gateway's pods send from, as 10.244.0.0/16
# shellcheck shell=bash disable=SC2154

gateway=$(cat "$state/gateway")
route=$(jq -r '.httpRoute.hostnames[0]' "$state/routes.yaml")
ingress=$(jq -r '.ingress.hosts[0]' "$state/routes.yaml")

# The addresses that requests of the gateway come from.
proxies() {
  if cluster_is_ours; then
    # It is no pod: it has the node's address on the pods' network.
    inside ip -json route get "$(addresses | head -n 1)" | jq -r '.[0].prefsrc'
  else
    printf '%s' "${JANUS_DEMO_PROXIES:?it is to be the networks that the pods of your gateway send from}"
  fi
}

# deploy_routed HELM-OPTION...: the release behind the gateway. It stays at its fewest pods: nothing is to come or go here
# but what the step itself replaces.
deploy_routed() { deploy --values demo/scale.yaml --values "$state/routes.yaml" --set autoscaling.maxReplicas=2 "$@"; }
# The same with a log of requests, in which the gateway may name the client.
deploy_logged() { deploy_routed --set "settings.access-log=true,settings.trusted-proxies={$(proxies)}"; }

# ask HOST PATH CURL-OPTION...
ask() {
  local host=$1 path=$2
  shift 2
  curl -fsS -m 10 -H "Host: $host" "$@" "$gateway$path"
}
answers() { [[ $(ask "$1" /items | jq -cS .) == "$(jq -cS . "$work/items.json")" ]]; }

# Instead of the client's pod and the Service.
targets() { printf 'GET %s/items\nHost: %s\n\nGET %s/items/1\nHost: %s\n' "$gateway" "$route" "$gateway" "$ingress"; }
ready_attack() { :; }
attack() { inside vegeta attack "$@"; }
end_attacks() {
  local load
  for load in "${loads[@]}"; do end_children INT "$load"; done
}
