# What the steps stand on, each a function up_NAME that brings it up and may be called again at any time. Sourced by
# demo/lib.sh.
# shellcheck shell=bash disable=SC2154

# needs PART...: brings up what is not up. Who needs what another brings up just now waits for it. What demo/run has once
# brought up it does not look at again.
needs() {
  local part
  for part; do
    (
      exec 8> "$state/.$part.lock"
      flock 8
      if [[ -n ${JANUS_DEMO_RUN:-} && -e $state/.$part.up && $JANUS_DEMO_RUN == "$(cat "$state/.$part.up")" ]]; then exit; fi
      # What goes on running must not keep the lock.
      "up_$part" 8>&-
      printf '%s' "${JANUS_DEMO_RUN:-}" > "$state/.$part.up"
    )
  done
  if [[ -s $state/aws/dev.json ]]; then ns=$(output namespace); fi
}

# begin PART...: brings them up while something else is done. What goes wrong is said to who needs them.
begin() { (needs "$@") > "$state/begun-$1.log" 2>&1 & }

up_cluster() {
  if [[ -s $state/prefix ]] && kubectl get --raw /readyz > /dev/null 2>&1; then return; fi
  find_cluster
  printf '%s\n' "$prefix" > "$state/prefix"
  printf '%s\n' "$JANUS_E2E_IMPORT" > "$state/import"
}

up_images() {
  needs cluster
  scripts/image janus janus-e2e > "$state/images.new"
  if ! cmp -s "$state/images.new" "$state/images"; then
    JANUS_E2E_IMPORT=$(cat "$state/import") import_images "$state/images.new"
    mv "$state/images.new" "$state/images"
  fi
}

# The emulated account, with infra/envs/dev applied, and what the chart is told of it.
up_account() {
  needs cluster
  if ! emulator_answers; then
    # It forgets everything when it ends.
    if [[ -e $state/aws/emulator.pid ]]; then infra/emulate stop "$state/aws"; fi
    rm -rf "$state/aws"
    inside env JANUS_EMULATOR_ADDRESS="$(emulator_address)" infra/emulate start "$state/aws"
  fi
  if [[ ! -s $state/aws/dev.json ]]; then inside infra/emulate apply "$state/aws" dev; fi
  jq '{
    externalSecret: { remoteKey: .secret_name.value },
    secretStore: { region: .region.value },
    networkPolicy: { loadBalancerCIDRs: .load_balancer_cidrs.value }
  }' "$state/aws/dev.json" > "$state/outputs.yaml"
}
emulator_answers() {
  [[ -e $state/aws/environment ]] || return 1
  # shellcheck disable=SC2016  # the inner shell knows the address
  account sh -c 'curl -fsS -m 5 -o /dev/null "$AWS_ENDPOINT_URL/_ministack/health"' 2> /dev/null
}
# Where pods reach it: in a cluster of ours, that of its only node.
emulator_address() {
  if cluster_is_ours; then
    kubectl get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
  elif [[ -n ${JANUS_DEMO_ADDRESS:-} ]]; then
    printf '%s' "$JANUS_DEMO_ADDRESS"
  else
    die 'JANUS_DEMO_ADDRESS is to be the address of this machine that the pods of your cluster reach; the emulator of AWS listens there'
  fi
}

# addon NAME CRD: an operator. In a cluster of the user's own it is there already, or the user is told.
addon() {
  if ! cluster_is_ours; then
    kubectl get crd "$2" > /dev/null || die "the cluster lacks $1 (no $2). External Secrets and monitoring are installed by infra/addons.sh; KEDA and a gateway are yours to bring"
    return
  fi
  recipe_is_named
  needs cluster
  # One at a time: they share files. What goes on running must not keep the lock.
  flock --close "$state/.addon.lock" "$JANUS_ADDONS_RECIPE/up" "$1" > /dev/null
}

# Prometheus and Alertmanager, by their operator.
up_prometheus() {
  addon monitoring prometheuses.monitoring.coreos.com
  if cluster_is_ours; then kubectl apply -f demo/prometheus.yaml > /dev/null; fi
  eventually 90 is_available prometheus
  eventually 90 is_available alertmanager
}
is_available() { [[ $(kubectl get "$1" -A -o jsonpath='{.items[0].status.availableReplicas}') -ge 1 ]]; }

# The External Secrets Operator, from its own chart, with the values that infra/addons has for it. What EKS Pod Identity
# would give to its pods, the address of AWS and credentials, they have from a Secret.
up_secrets() {
  if operator_has_account; then return; fi
  # Monitoring brings the definition of ServiceMonitor.
  needs prometheus account
  if cluster_is_ours; then
    kubectl create namespace external-secrets --dry-run=client -o yaml | kubectl apply -f - > /dev/null
    account sh -c 'env | grep -E "^AWS_(ENDPOINT_URL|ACCESS_KEY_ID|SECRET_ACCESS_KEY|EC2_METADATA_DISABLED)="' |
      kubectl -n external-secrets create secret generic aws --from-env-file=/dev/stdin --dry-run=client -o yaml | kubectl apply -f - > /dev/null
  fi
  HELM=$PWD/demo/helm JANUS_DEMO_ACCOUNT=$(account_id) addon eso-pods externalsecrets.external-secrets.io
}
account_id() { sha256sum "$state/aws/environment" | cut -c 1-16; }
operator_has_account() {
  [[ -e $state/aws/environment ]] &&
    [[ $(kubectl -n external-secrets get deployment external-secrets --ignore-not-found -o jsonpath='{.spec.template.metadata.annotations.account}') == "$(account_id)" ]]
}

# Janus itself, as dev has it, and with all that watches it.
up_release() {
  needs account images prometheus secrets
  kubectl create namespace "$ns" --dry-run=client -o yaml | kubectl apply -f - > /dev/null
  kubectl label --overwrite namespace "$ns" pod-security.kubernetes.io/enforce=restricted > /dev/null
  cp demo/items.json "$work/items.json"
  deploy
  k get pod client > /dev/null 2>&1 || new_client
}

up_keda() { addon keda scaledobjects.keda.sh; }

# The second release of the same data, whose pods KEDA decides on.
up_canary() {
  needs release keda
  local release=janus-canary
  local pods=${pods/janus/$release}
  deploy --values demo/canary.yaml --set "keda.prometheusAddress=$(prometheus_address)"
}
prometheus_address() {
  if cluster_is_ours; then
    printf 'http://%s:9090' "$(kubectl -n monitoring get service prometheus -o jsonpath='{.spec.clusterIP}')"
  else
    printf 'http://prometheus-operated.%s:9090' "$(namespace_of prometheus)"
  fi
}

# Traefik; where its Gateway is reached; and what the chart is told of both.
up_gateway() {
  addon traefik httproutes.gateway.networking.k8s.io
  if cluster_is_ours; then kubectl apply -f demo/gateway.yaml > /dev/null; fi
  eventually 60 is_programmed
  kubectl get gateways -A -o json | jq -er '.items[0] | "http://\(.status.addresses[0].value):\(.spec.listeners[0].port)"' > "$state/gateway"
  kubectl get gateways -A -o json | jq --arg class "$(kubectl get ingressclasses -o jsonpath='{.items[0].metadata.name}')" '.items[0].metadata | {
    ingress: { enabled: true, className: $class, hosts: ["ingress.janus.example"] },
    httpRoute: { enabled: true, parentRefs: [{ name, namespace }], hostnames: ["janus.example"] },
    networkPolicy: { gatewayNamespace: .namespace }
  }' > "$state/routes.yaml"
}
is_programmed() { kubectl get gateways -A -o json | jq -e '.items[0].status | .addresses and any(.conditions[]; .type == "Programmed" and .status == "True")'; }

# providers: Terraform's, in a folder, for where it cannot fetch them.
providers() {
  if [[ -n ${TF_PLUGIN_DIR:-} ]]; then return; fi
  export TF_PLUGIN_DIR=$JANUS_CACHE/terraform-mirror
  if [[ ! -d $TF_PLUGIN_DIR ]]; then terraform -chdir=infra/bootstrap providers mirror "$TF_PLUGIN_DIR"; fi
}

# operators: their programs, built where they are not there: the recipe's name for it, and the last that it makes.
operators() {
  local name program
  recipe_is_named
  while read -r name program; do
    if [[ ! -x $JANUS_ADDONS_BIN/$program ]]; then "$JANUS_ADDONS_RECIPE/build" "$name"; fi
  done <<< 'demo demo
eso external-secrets
monitoring alertmanager
traefik traefik
keda keda-adapter'
}
recipe_is_named() {
  [[ -n ${JANUS_ADDONS_RECIPE:-} ]] || die 'JANUS_ADDONS_RECIPE is to be a folder that brings operators up; demo/lib.sh says more'
}

# pages: how to look at what runs.
pages() {
  title 'It stays up. To look at it:'
  needs cluster
  page Janus "$ns" janus 80 /items
  page "Janus's metrics" "$ns" janus-admin 9090 /metrics
  page 'Prometheus, its targets' "$(namespace_of prometheus)" prometheus-operated 9090 /api/v1/targets
  page 'Prometheus, its alerts' "$(namespace_of prometheus)" prometheus-operated 9090 /api/v1/alerts
  page 'Alertmanager' "$(namespace_of alertmanager)" alertmanager-operated 9093 /api/v2/alerts
  printf '  %-26s demo/inside kubectl get pods --all-namespaces\n' 'the cluster'
  printf '  %-26s demo/down\n' 'to take all of it down'
}
# page WHAT NAMESPACE SERVICE PORT PATH: if it is there by now.
page() {
  local address
  address=$(kubectl -n "$2" get service "$3" --ignore-not-found -o jsonpath='{.spec.clusterIP}')
  [[ -n $address ]] || return 0
  # A Service without an address of its own has those of its pods.
  if [[ $address == None ]]; then
    address=$(kubectl -n "$2" get endpointslices -l "kubernetes.io/service-name=$3" -o jsonpath='{.items[0].endpoints[0].addresses[0]}')
  fi
  if cluster_is_ours; then
    printf '  %-26s demo/inside curl http://%s:%s%s\n' "$1" "$address" "$4" "$5"
  else
    printf '  %-26s kubectl -n %s port-forward service/%s 8000:%s, then curl http://127.0.0.1:8000%s\n' "$1" "$2" "$3" "$4" "$5"
  fi
}
