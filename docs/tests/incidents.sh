# What the runbook tells of, brought about: each function is named by a block of docs/runbook.md and called before it.
# Sourced by docs/tests/runbook and, for each incident, by docs/tests/commands.py.
# shellcheck shell=bash
ns=janus
work=$JANUS_E2E_WORK
values=(--values helm/e2e/values.yaml)
# shellcheck source=helm/e2e/lib.sh
. helm/e2e/lib.sh

# The name of the environment's secret, as Terraform has it.
secret_name=janus/prod/app

# install HELM-OPTION...: the chart as the test begins with it: a token, and sensors that show something in a virtual
# machine too.
install() {
  local token=(--set admin.existingSecret=janus-admin)
  if [[ -n ${JANUS_ADDONS_RECIPE:-} ]]; then
    token=(--set "admin.existingSecret=,externalSecret.enabled=true,externalSecret.remoteKey=$secret_name"
      --set "secretStore.enabled=true,secretStore.region=$AWS_REGION")
  fi
  deploy --set settings.hardware=simulated "${token[@]}" "$@"
}

# The emulator's EKS has no API server: the cluster that the test has stands in for it.
log_in() { kubectl config use-context "$JANUS_TEST_CONTEXT" > /dev/null; }

# An access entry is deleted, and whoever it was for has a token that is worth nothing.
entry_gone() {
  aws eks delete-access-entry --cluster-name janus-prod --principal-arn arn:aws:iam::000000000000:role/alice
  kubectl config set-credentials nobody --token=worthless > /dev/null
  kubectl config set-context nobody --user=nobody --cluster="$(kubectl config view --minify -o 'jsonpath={.contexts[0].context.cluster}')" > /dev/null
  kubectl config use-context nobody > /dev/null
}

# metrics-server has measured each pod: of one that has just started it knows nothing yet.
measured() { eventually 90 all_are_measured; }
all_are_measured() { [[ $(k top pods -l "$pods" --no-headers | wc -l) == "$(names | wc -l)" ]]; }

# The network add-on is deleted, without which no node becomes ready.
cni_gone() { aws eks delete-addon --cluster-name janus-prod --addon-name vpc-cni > /dev/null; }

# The chart names another secret of almost the same name, which is there and synchronises.
other_secret() {
  aws secretsmanager create-secret --name "$secret_name-demo" --secret-string '{"admin_token":"another"}' > /dev/null
  install --set "externalSecret.remoteKey=$secret_name-demo"
  eventually 60 token_is another
}
token_is() { [[ $(k get secret janus-admin -o 'jsonpath={.data.admin-token}' | base64 -d) == "$1" ]]; }

# The source is given bad data, and each pod has seen it.
bad_data() {
  printf '[{"id":1,"name":"one"},{"name":"two"}]\n' > "$work/items.json"
  install
  eventually 150 failure_shows
}

# Pods that do not look for changes, and one that was told to.
one_reloads() {
  printf '[{"id":1,"name":"one"}]\n' > "$work/items.json"
  install --set settings.no-watch=true
  printf '[{"id":1,"name":"one"},{"id":2,"name":"two"}]\n' > "$work/items.json"
  install --set settings.no-watch=true
  local token one
  token=$(k get secret janus-admin -o 'jsonpath={.data.admin-token}' | base64 -d)
  one=$(addresses | head -n 1)
  eventually 150 reloads_to "$token" "$one"
}
reloads_to() { reload "$@" > /dev/null && [[ $(items "$2") == "$(cat "$work/items.json")" ]]; }

# A release whose image is not there, and which nobody has waited for.
bad_release() {
  helm upgrade janus helm/janus --namespace "$ns" --reuse-values --set image.tag=no-such-tag > /dev/null
  eventually 60 image_is_missing
}
image_is_missing() { k get pods | grep -q ImagePull; }

# The node has only pods that somebody makes anew elsewhere: the client of the test is none.
only_controlled() { k delete pod client > /dev/null; }
