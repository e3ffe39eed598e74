{{- /* Bytes of a quantity of memory, as `128Mi`. */ -}}
{{- define "janus.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[A-Za-z]*$" .)) -}}
{{- end -}}

{{- /* Bytes that the pod takes without data: the program, and a share for each connection that it may have. */ -}}
{{- define "janus.memoryWithoutData" -}}
{{- $formula := .Files.Get "memory.yaml" | fromYaml -}}
{{- $connections := index .Values.settings "max-connections" | default 65536 | int64 -}}
{{- add (mul $formula.baseMiB 1048576) (mul $formula.perConnectionKiB 1024 $connections) -}}
{{- end -}}

{{- /* Bytes that data may have in the pod's memory: not a number above 0 if there is no memory for any. */ -}}
{{- define "janus.maxDataBytes" -}}
{{- $formula := .Files.Get "memory.yaml" | fromYaml -}}
{{- div (sub (include "janus.bytes" .Values.resources.memory) (include "janus.memoryWithoutData" . | int64)) $formula.perDataByte -}}
{{- end -}}

{{- /* MiB that the pod needs for so many bytes of data: (list $ bytes). */ -}}
{{- define "janus.memoryNeededMi" -}}
{{- $root := index . 0 -}}
{{- $formula := $root.Files.Get "memory.yaml" | fromYaml -}}
{{- $bytes := add (include "janus.memoryWithoutData" $root | int64) (mul $formula.perDataByte (index . 1)) -}}
{{- div (add $bytes 1048575) 1048576 -}}
{{- end -}}
