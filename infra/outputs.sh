# shellcheck shell=bash
# What Terraform made of an environment, for scripts that deploy to it. Sourced from the repository's root.

# read_outputs ENVIRONMENT: from JANUS_OUTPUTS, which is `terraform output -json` as scripts/github-environment put it into
# GitHub's environment, or else from Terraform itself.
read_outputs() {
  outputs=${JANUS_OUTPUTS:-}
  if [[ -z $outputs ]]; then
    if [[ ! -d infra/envs/$1 ]]; then
      printf '%s: there is no environment %s in infra/envs, and JANUS_OUTPUTS is not set\n' "$0" "$1" >&2
      return 2
    fi
    outputs=$(terraform -chdir="infra/envs/$1" output -json)
  fi
  local found
  found=$(output environment)
  if [[ $found != "$1" ]]; then
    printf '%s: the outputs are of %s, not of %s; is JANUS_OUTPUTS that of another environment?\n' "$0" "$found" "$1" >&2
    return 2
  fi
}

# output NAME
output() {
  if ! jq -er --arg name "$1" '.[$name].value' <<< "$outputs"; then
    printf '%s: Terraform has no output %s; is the environment applied, and JANUS_OUTPUTS as new (scripts/github-environment)?\n' "$0" "$1" >&2
    return 2
  fi
}

# same_cluster: kubectl talks to the environment's cluster and to no other.
same_cluster() {
  local endpoint
  endpoint=$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}')
  if [[ $endpoint != "$(output cluster_endpoint)" ]]; then
    printf '%s: kubectl talks to %s, not to the cluster of %s; first:\n  aws eks update-kubeconfig --region %s --name %s\n' \
      "$0" "$endpoint" "$(output environment)" "$(output region)" "$(output cluster_name)" >&2
    return 1
  fi
}
