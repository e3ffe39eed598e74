#!/usr/bin/env bash
# Installs with Helm what the cluster needs besides Janus, at pinned versions, with the values of infra/addons.
# Use: infra/addons.sh ENVIRONMENT   after the environment is applied and kubectl reaches its cluster
#      infra/addons.sh --check       only looks whether table and values belong together
# It reads the outputs of infra/envs/ENVIRONMENT, refuses a kubectl context of another cluster, and can be run again.
set -euo pipefail
cd "$(dirname "$0")/.."

# release, namespace, chart, version, repository
table='
aws-load-balancer-controller  kube-system       aws-load-balancer-controller  3.5.0   https://aws.github.io/eks-charts
fluent-bit                    logging           aws-for-fluent-bit            0.2.0   https://aws.github.io/eks-charts
kube-prometheus-stack         monitoring        kube-prometheus-stack         88.5.3  https://prometheus-community.github.io/helm-charts
external-secrets              external-secrets  external-secrets              2.9.0   https://charts.external-secrets.io
'

rows() { sed '/^$/d' <<< "$table"; }

check() {
  local wanted found
  wanted=$(rows | awk '{ print $1 ".yaml" }' | sort)
  found=$(find infra/addons -name '*.yaml' ! -name delivery.yaml ! -name preview.yaml -exec basename {} \; | sort)
  if ! diff <(printf '%s\n' "$wanted") <(printf '%s\n' "$found"); then
    printf 'infra/addons.sh: its table and the files of infra/addons differ\n' >&2
    return 1
  fi
}

check
[[ ${1:-} != --check ]] || exit 0
if [[ ! -d infra/envs/${1:-} || -z ${1:-} ]]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
# shellcheck source=infra/outputs.sh
. infra/outputs.sh
read_outputs "$1"
same_cluster

# What differs by environment. Nodes answer no metadata requests of pods, so region and VPC are told.
settings() {
  case $1 in
    aws-load-balancer-controller)
      printf -- '--set=%s\n' "clusterName=$(output cluster_name)" "region=$(output region)" "vpcId=$(output vpc_id)"
      ;;
    fluent-bit)
      printf -- '--set=%s\n' "cloudWatchLogs.region=$(output region)" "cloudWatchLogs.logGroupName=$(output pod_log_group)"
      ;;
  esac
}

while read -r release namespace chart version repository; do
  printf '%s %s into %s\n' "$chart" "$version" "$namespace"
  mapfile -t arguments < <(settings "$release")
  helm upgrade --install "$release" "$chart" --repo "$repository" --version "$version" \
    --namespace "$namespace" --create-namespace --values "infra/addons/$release.yaml" "${arguments[@]}" --wait --timeout 10m < /dev/null
done < <(rows)

namespace=$(output namespace)
kubectl create namespace "$namespace" --dry-run=client --output yaml | kubectl apply --filename -
kubectl apply --namespace "$namespace" --filename infra/addons/delivery.yaml
if [[ $1 == dev ]]; then
  kubectl apply --filename infra/addons/preview.yaml
fi
