# What the steps of the demonstration are written with. Sourced by demo/run, demo/inside, demo/down and demo/steps/*.
#   JANUS_DEMO_DIR        where all of it is kept: target/demo
#   JANUS_ADDONS_RECIPE   without KUBECONFIG: a folder whose `build` makes operators, whose `up` runs them in the cluster
#                         of JANUS_CLUSTER_RECIPE (charts by the program that HELM names), and whose `down` ends them
#   JANUS_DEMO_ADDRESS    with KUBECONFIG: this machine's address as pods reach it, where the emulator of AWS listens
# Which cluster: see helm/e2e/cluster.sh.
# shellcheck shell=bash

export JANUS_CACHE=${JANUS_CACHE:-$HOME/.cache/janus}
export PATH=$JANUS_CACHE/bin:$PATH:/usr/sbin
state=${JANUS_DEMO_DIR:-target/demo}
mkdir -p "$state"
state=$(cd "$state" && pwd)
# shellcheck source=helm/e2e/cluster.sh
. helm/e2e/cluster.sh
if cluster_is_ours; then
  export JANUS_K8S_DIR=${JANUS_K8S_DIR:-$state/cluster} JANUS_K8S_NETNS=${JANUS_K8S_NETNS:-janus-demo}
  export JANUS_K8S_RECIPE=${JANUS_CLUSTER_RECIPE:-}
  export JANUS_ADDONS_BIN=${JANUS_ADDONS_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/janus-addons}
fi

# With this code a step ends that this cluster has nothing for.
# shellcheck disable=SC2034  # for those who source this
left_out=4

# What helm/e2e/lib.sh asks for; its functions are used here too.
ns= # Terraform's output `namespace`, once there is one
work=$state
value_files=(helm/janus/values-dev.yaml demo/values.yaml "$state/outputs.yaml")
values=()
for file in "${value_files[@]}"; do values+=(--values "$file"); done
# shellcheck source=helm/e2e/lib.sh
. helm/e2e/lib.sh

# Words for those who watch.

title() {
  local text="$*"
  printf '\n%s\n%s\n' "$text" "${text//?/=}"
}
say() { printf '\n%s\n' "$*"; }

# holds CLAIM COMMAND...: the command succeeds, and so the claim holds.
holds() {
  local claim=$1 said
  shift
  said=$("$@" 2>&1) || die "$claim: $* says: $said"
  printf '  ✓ %s\n' "$claim"
}

# fails CLAIM COMMAND...: the command is refused, as claimed; what it says is shown.
fails() {
  local claim=$1 said
  shift
  if said=$("$@" 2>&1); then die "$claim: $* was let through"; fi
  printf '  ✓ %s: %s\n' "$claim" "$(tail -n 1 <<< "$said")"
}

# holds_within SECONDS CLAIM COMMAND...: as holds, but the command may fail until then.
holds_within() {
  local limit=$1 claim=$2 began=$EPOCHREALTIME
  shift 2
  eventually "$limit" "$@"
  printf '  ✓ %s (after %s)\n' "$claim" "$(since "$began")"
}

# since EPOCH: so many seconds ago, for people.
since() { awk -v began="$1" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", now - began }'; }

# Into the cluster.

# inside COMMAND...: where the cluster's addresses are reached.
inside() {
  local words=()
  if cluster_is_ours; then eval "words=($(cat "$state/prefix"))"; fi
  "${words[@]}" "$@"
}
kubectl() { inside kubectl "$@"; }
helm() { inside helm "$@"; }
curl() { inside curl "$@"; }
# account COMMAND...: with the emulated account as its AWS.
account() { (
  # shellcheck disable=SC1091  # made by infra/emulate
  . "$state/aws/environment"
  inside "$@"
); }

# output NAME: what Terraform says of the environment.
output() { jq -er --arg name "$1" '.[$name].value' "$state/aws/dev.json"; }

# guard VALUES...: infra/chart-guard, on the values of the release and these. The environment of kubernetes-validate has
# PyYAML.
guard() { "$JANUS_CACHE/venv/kubernetes-validate/bin/python" infra/chart-guard "${value_files[@]}" "$@" < "$state/aws/dev.json"; }

# through NAMESPACE KIND/NAME:PORT PATH: what a pod or Service answers, by way of the API server.
through() { kubectl get --raw "/api/v1/namespaces/$1/$2/proxy$3"; }

# query EXPRESSION: what Prometheus answers, as JSON.
query() { from_prometheus "query?query=$(jq -rn --arg text "$1" '$text | @uri')" | jq -c .data.result; }
from_prometheus() { through "$(namespace_of prometheus)" services/prometheus-operated:web "/api/v1/$1"; }
from_alertmanager() { through "$(namespace_of alertmanager)" services/alertmanager-operated:web "/api/v2/$1"; }
namespace_of() {
  if cluster_is_ours; then echo monitoring; else kubectl get "$1" -A -o jsonpath='{.items[0].metadata.namespace}'; fi
}
# keep NAME EXPRESSION: what it was since the run began, for demo/pictures.
keep() {
  local text
  text=$(jq -rn --arg text "$2" '$text | @uri')
  from_prometheus "query_range?query=$text&start=$(cat "$state/began")&end=$EPOCHSECONDS&step=5" | jq -c .data.result > "$state/$1.json"
}

# An alert fires in Prometheus; it has arrived at Alertmanager; it is in neither.
fires() { from_prometheus alerts | jq -e --arg name "$1" '[.data.alerts[] | select(.labels.alertname == $name and .state == "firing")] | length > 0'; }
arrived() { from_alertmanager alerts | jq -e --arg name "$1" '[.[] | select(.labels.alertname == $name and .status.state == "active")] | length > 0'; }
resolved() { ! fires "$1" && ! arrived "$1"; }

# end_children SIGNAL PID: ends what a function runs that was sent to the background.
end_children() {
  local child
  for child in $(pgrep --parent "$2"); do
    end_children "$1" "$child"
    kill "-$1" "$child" 2> /dev/null || true
  done
}

# per_second RESULTS...: for pictures, of each second of vegeta's results: requests, failed ones, and in milliseconds the
# median and the 99th percentile.
per_second() {
  printf 'second\trequests\tfailed\tp50_ms\tp99_ms\n'
  vegeta encode -to csv "$@" | awk -F, '{ printf "%d %d %d\n", $1 / 1e9, $3, $2 }' | sort -n -k 1,1 -k 2,2 | awk '
    function show() { if (n) printf "%d\t%d\t%d\t%.3f\t%.3f\n", second, n, failed, took[int((n + 1) / 2)] / 1e6, took[int(n * 0.99 + 0.99)] / 1e6 }
    $1 != second { show(); second = $1; n = failed = 0 }
    { took[++n] = $2; failed += $3 != 200 }
    END { show() }'
}

# What goes on in the background ends with the step.
trap 'if ((${#loads[@]})); then end_attacks || true; fi' EXIT

# shellcheck source=demo/parts.sh
. demo/parts.sh
