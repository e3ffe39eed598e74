{{- /* What a schema cannot say: values that contradict each other. Each message names them and the way out. */ -}}
{{- define "janus.validate" -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- $least := include "janus.gracePeriod" $ | int -}}
{{- if lt (int .) $least -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short: drain.seconds %d, up to 15 more with Connection: close, drain.shutdownTimeoutSeconds %d and 5 to spare need %d. Leave it out, or make drain.seconds shorter." (int .) (int $.Values.drain.seconds) (int $.Values.drain.shutdownTimeoutSeconds) $least) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling.enabled and keda.enabled: two autoscalers would fight over the same pods. Turn one off." -}}
{{- end -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- with index $.Values $name -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "%s: minReplicas %d is more than maxReplicas %d." $name (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.keda.prometheusAddress) -}}
{{- fail "keda.prometheusAddress: KEDA asks Prometheus for the rate of requests. Say where, as http://prometheus.monitoring:9090." -}}
{{- end -}}
{{- if has (toString .Values.podDisruptionBudget.maxUnavailable) (list "0" "0%") -}}
{{- fail "podDisruptionBudget.maxUnavailable: 0 would block every drain of a node, and so every upgrade. At least 1 pod must be allowed to go." -}}
{{- end -}}
{{- if eq (int .Values.ports.http) (int .Values.ports.admin) -}}
{{- fail (printf "ports.http and ports.admin: both are %d, and each listener needs its own." (int .Values.ports.http)) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts: an Ingress needs a host. List at least one, as items.example." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: a route belongs to a Gateway. Name it, as {name: public, namespace: gateway}." -}}
{{- end -}}
{{- if gt (len .Values.data.content) 1048576 -}}
{{- fail (printf "data.content: %d bytes are more than the 1 MiB that a ConfigMap holds. Mount a volume, and name the file in settings.data." (len .Values.data.content)) -}}
{{- end -}}
{{- if and .Values.data.content .Values.data.existingConfigMap -}}
{{- fail "data.content and data.existingConfigMap: the data can come from one of them only. Leave one out." -}}
{{- end -}}
{{- if and (hasKey .Values.settings "data") (include "janus.dataConfigMap" .) -}}
{{- fail "settings.data: data.content or data.existingConfigMap names the data already. Leave one out." -}}
{{- end -}}
{{- if and .Values.admin.existingSecret .Values.externalSecret.enabled -}}
{{- fail "admin.existingSecret and externalSecret.enabled: the admin token can come from one of them only. Leave one out." -}}
{{- end -}}
{{- if and .Values.externalSecret.enabled (not .Values.externalSecret.remoteKey) -}}
{{- fail "externalSecret.remoteKey: which secret of the store holds the admin token? It is Terraform's output secret_name." -}}
{{- end -}}
{{- if and .Values.secretStore.enabled (not .Values.secretStore.region) -}}
{{- fail "secretStore.region: in which AWS region is the secret? As eu-central-1." -}}
{{- end -}}
{{- if and .Values.secretStore.enabled (ne .Values.externalSecret.store.kind "SecretStore") -}}
{{- fail "secretStore.enabled makes a SecretStore, and externalSecret.store.kind asks for a ClusterSecretStore. Turn one of them off." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (eq .Values.service.type "LoadBalancer") (not .Values.networkPolicy.loadBalancerCIDRs) -}}
{{- fail "networkPolicy.loadBalancerCIDRs: the policy would shut out the load balancer of service.type LoadBalancer. List its subnets." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (or .Values.ingress.enabled .Values.httpRoute.enabled) (not .Values.networkPolicy.gatewayNamespace) -}}
{{- fail "networkPolicy.gatewayNamespace: the policy would shut out the controller of ingress or httpRoute. Name its namespace." -}}
{{- end -}}
{{- end -}}
