{{- /* Grafana's JSON of dashboard.yaml. */ -}}
{{- define "janus.dashboard" -}}
{{- $root := . -}}
{{- $panels := list -}}
{{- $y := 0 -}}
{{- range $row := (.Files.Get "dashboard.yaml" | fromYaml).rows -}}
  {{- $panels = append $panels (dict "type" "row" "title" $row.title "collapsed" false "panels" list "id" (add 1 (len $panels)) "gridPos" (dict "x" 0 "y" $y "w" 24 "h" 1)) -}}
  {{- $y = add $y 1 -}}
  {{- $x := 0 -}}
  {{- range $panel := $row.panels -}}
    {{- $width := $panel.width | default 8 | int -}}
    {{- if gt (add $x $width) 24 -}}
      {{- $x = 0 -}}
      {{- $y = add $y 8 -}}
    {{- end -}}
    {{- $place := dict "id" (add 1 (len $panels)) "gridPos" (dict "x" $x "y" $y "w" $width "h" 8) -}}
    {{- $panels = append $panels (merge $place (include "janus.panel" (list $root $panel) | fromJson)) -}}
    {{- $x = add $x $width -}}
  {{- end -}}
  {{- $y = add $y 8 -}}
{{- end -}}
{{- $query := dict "type" "query" "refresh" 2 "sort" 1 "datasource" (include "janus.datasource" . | fromJson) -}}
{{- $variables := list
  (dict "name" "datasource" "label" "Data source" "type" "datasource" "query" "prometheus")
  (merge (dict "name" "namespace" "label" "Namespace" "query" "label_values(janus_build_info, namespace)") $query)
  (merge (dict "name" "job" "label" "Release" "query" `label_values(janus_build_info{namespace="$namespace"}, job)`) $query) -}}
{{- dict "title" "Janus" "uid" "janus" "tags" (list "janus") "schemaVersion" 39 "editable" true "refresh" "30s"
  "time" (dict "from" "now-1h" "to" "now") "graphTooltip" 1
  "templating" (dict "list" $variables) "panels" $panels | toJson -}}
{{- end -}}

{{- define "janus.datasource" -}}
{"type":"prometheus","uid":"${datasource}"}
{{- end -}}

{{- /* One panel without its place: (list $ panel). */ -}}
{{- define "janus.panel" -}}
{{- $root := index . 0 -}}
{{- $panel := index . 1 -}}
{{- $type := $panel.type | default "timeseries" -}}
{{- $isNative := $root.Values.nativeHistograms -}}
{{- $targets := list -}}
{{- range $query := $panel.queries -}}
  {{- $expr := $isNative | ternary ($query.native | default $query.expr) $query.expr -}}
  {{- $target := dict "refId" (printf "%c" (add 65 (len $targets))) "datasource" (include "janus.datasource" $root | fromJson)
    "expr" ($expr | replace "SERIES" `namespace="$namespace",job="$job"`) "legendFormat" ($query.legend | default "") -}}
  {{- if eq $type "heatmap" -}}
    {{- $_ := set $target "format" "heatmap" -}}
  {{- end -}}
  {{- $targets = append $targets $target -}}
{{- end -}}
{{- $options := dict
  "timeseries" (dict "legend" (dict "displayMode" "list" "placement" "bottom") "tooltip" (dict "mode" "multi" "sort" "desc"))
  "stat" (dict "reduceOptions" (dict "calcs" (list "lastNotNull")) "textMode" (empty (index $panel.queries 0).legend | ternary "value" "value_and_name") "colorMode" "none")
  "heatmap" (dict "calculate" false "yAxis" (dict "unit" $panel.unit) "color" (dict "mode" "scheme" "scheme" "Oranges" "steps" 64)) -}}
{{- dict "type" $type "title" $panel.title "description" ($panel.description | default "")
  "datasource" (include "janus.datasource" $root | fromJson) "targets" $targets "options" (index $options $type)
  "fieldConfig" (dict "defaults" (dict "unit" ($panel.unit | default "short") "min" 0) "overrides" list) | toJson -}}
{{- end -}}
