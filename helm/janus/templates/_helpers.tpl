{{- define "janus.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- /* Some names have a suffix; a label's value has 63 characters at most. */ -}}
{{- $full | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "janus.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "janus.testLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{- /* Of whatever belongs to the release. */ -}}
{{- define "janus.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: janus
{{- end -}}

{{- define "janus.labels" -}}
{{ include "janus.selectorLabels" . }}
{{ include "janus.commonLabels" . }}
{{- end -}}

{{- /* Name, namespace and labels of an object: (list $ "suffix"). */ -}}
{{- define "janus.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "janus.fullname" $root }}{{ with index . 1 }}-{{ . }}{{ end }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "janus.labels" $root | nindent 2 }}
{{- end -}}

{{- define "janus.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "janus.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "janus.fullname" .) "default") -}}
{{- end -}}

{{- define "janus.dataConfigMap" -}}
{{- if .Values.data.existingConfigMap -}}
{{ .Values.data.existingConfigMap }}
{{- else if .Values.data.content -}}
{{ include "janus.fullname" . }}-data
{{- end -}}
{{- end -}}

{{- define "janus.adminSecret" -}}
{{- if .Values.admin.existingSecret -}}
{{ .Values.admin.existingSecret }}
{{- else if .Values.externalSecret.enabled -}}
{{ include "janus.fullname" . }}-admin
{{- end -}}
{{- end -}}

{{- define "janus.secretStoreName" -}}
{{- .Values.externalSecret.store.name | default (include "janus.fullname" .) -}}
{{- end -}}

{{- /* How long a pod goes on with `Connection: close` once its preStop is over, in seconds. */ -}}
{{- define "janus.drainDelay" -}}
{{ min 15 .Values.drain.seconds }}
{{- end -}}

{{- /* How long a pod takes to end, in seconds: preStop, drain, shutdown, and 5 to spare. */ -}}
{{- define "janus.gracePeriod" -}}
{{ add .Values.drain.seconds (include "janus.drainDelay" .) .Values.drain.shutdownTimeoutSeconds 5 }}
{{- end -}}

{{- /* The path that all routes are below, without a slash at its end. */ -}}
{{- define "janus.basePath" -}}
{{- index .Values.settings "base-path" | default "" | trimSuffix "/" -}}
{{- end -}}

{{- /* Something, if load balancers begin connections with the PROXY protocol. */ -}}
{{- define "janus.proxyProtocol" -}}
{{- if eq (index .Values.settings "proxy-protocol" | default false | toString) "true" -}}yes{{- end -}}
{{- end -}}

{{- /* The trusted proxies, separated by commas. */ -}}
{{- define "janus.trustedProxies" -}}
{{- $proxies := index .Values.settings "trusted-proxies" | default "" -}}
{{- kindIs "slice" $proxies | ternary (join "," $proxies) (toString $proxies) -}}
{{- end -}}

{{- /* The settings as TOML: JSON's strings, numbers, booleans and arrays are TOML's. */ -}}
{{- define "janus.toml" -}}
# Made by the chart from `settings`.
{{- if not (hasKey .Values.settings "max-data-bytes") }}
# What resources.memory holds while data changes.
max-data-bytes = {{ include "janus.maxDataBytes" . | int64 | max 1 | toString | toJson }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{ $name }} = {{ $value | toJson }}
{{- end }}
{{- end -}}

{{- /* What the Restricted policy asks of a container, and a root file system that cannot be written. */ -}}
{{- define "janus.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "janus.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* Up at once, down slowly: a pod takes minutes to end, and load that fell may be back. */ -}}
{{- define "janus.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownStabilizationSeconds }}
  policies:
    - type: Percent
      value: 50
      periodSeconds: 60
{{- end -}}

{{- /* What selects this release's series in Prometheus. */ -}}
{{- define "janus.series" -}}
namespace="{{ .Release.Namespace }}",job="{{ include "janus.fullname" . }}"
{{- end -}}

{{- /* Requests for data: probes and scrapes are no users. */ -}}
{{- define "janus.requestSeries" -}}
{{ include "janus.series" . }},route!~"/health|/livez|/readyz|/metrics|/-/.*"
{{- end -}}

{{- /* Who may connect: the test pod, the load balancer, one namespace, and others. */ -}}
{{- define "janus.peers" -}}
- podSelector:
    matchLabels:
      {{- include "janus.testLabels" .root | nindent 6 }}
{{- range .root.Values.networkPolicy.loadBalancerCIDRs }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- with .namespace }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
{{- end }}
{{- with .others }}
{{ toYaml . }}
{{- end }}
{{- end -}}
