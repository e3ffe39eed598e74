{{- /* What every series of a recording rule carries, as if it were scraped. */ -}}
{{- define "janus.ruleLabels" -}}
namespace: {{ .Release.Namespace }}
job: {{ include "janus.fullname" . }}
{{- end -}}

{{- /* Labels and annotations of an alert: (list $ name severity summary description). */ -}}
{{- define "janus.alert" -}}
{{- $root := index . 0 -}}
labels:
  severity: {{ index . 2 }}
  {{- include "janus.ruleLabels" $root | nindent 2 }}
annotations:
  summary: {{ index . 3 }}
  description: {{ index . 4 | toJson }}
  runbook_url: {{ $root.Values.prometheusRule.runbookURL }}#{{ index . 1 | lower }}
{{- end -}}

{{- /* Both windows burn at `factor` times the rate that uses the budget up in 30 days: (list $ record percent factor
long short). The short window ends the alert soon after the cause is gone. */ -}}
{{- define "janus.burning" -}}
{{- $series := include "janus.series" (index . 0) -}}
{{- $limit := printf "> %v * (1 - %v / 100)" (index . 3) (index . 2) -}}
(
  {{ index . 1 }}:ratio_rate{{ index . 5 }}{ {{- $series -}} } {{ $limit }}
  and {{ index . 1 }}:ratio_rate{{ index . 4 }}{ {{- $series -}} } {{ $limit }}
)
{{- end -}}
