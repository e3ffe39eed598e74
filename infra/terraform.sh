# shellcheck shell=bash
# Sourced by the scripts of this folder: finds Terraform, and where its provider comes from.
# TF_PLUGIN_DIR names a file-system mirror of providers; without it `terraform init` fetches as usual.

if ! command -v terraform > /dev/null; then
  printf '%s: terraform is not installed; see https://developer.hashicorp.com/terraform/install\n' "$0" >&2
  exit 1
fi
# A variable that names a file that is not there makes Terraform warn at every word.
if [[ -n ${TF_CLI_CONFIG_FILE:-} && ! -e $TF_CLI_CONFIG_FILE ]]; then
  unset TF_CLI_CONFIG_FILE
fi
export TF_IN_AUTOMATION=yes TF_INPUT=0 CHECKPOINT_DISABLE=yes TF_CLI_ARGS=-no-color
plugin_arguments=()
if [[ -n ${TF_PLUGIN_DIR:-} ]]; then
  plugin_arguments=(-plugin-dir="$TF_PLUGIN_DIR")
else
  export TF_PLUGIN_CACHE_DIR=${JANUS_CACHE:-$HOME/.cache/janus}/terraform
  mkdir -p "$TF_PLUGIN_CACHE_DIR"
fi

# Initialises the folder $1; what else there is, terraform init takes.
terraform_init() {
  local folder=$1
  shift
  if ! terraform -chdir="$folder" init "${plugin_arguments[@]}" "$@" > "$folder/init.log" 2>&1; then
    cat "$folder/init.log" >&2
    return 1
  fi
}
