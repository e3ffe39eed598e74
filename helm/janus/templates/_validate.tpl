{{- /* What a schema cannot say: values that contradict each other. Each message names them and the way out, and
all are told together. */ -}}
{{- define "janus.validate" -}}
{{- $wrong := list -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- $least := include "janus.gracePeriod" $ | int -}}
{{- if lt (int .) $least -}}
{{- $wrong = append $wrong (printf "terminationGracePeriodSeconds: %d is too short: drain.seconds %d, up to 15 more with Connection: close, drain.shutdownTimeoutSeconds %d and 5 to spare need %d. Leave it out, or make drain.seconds shorter." (int .) (int $.Values.drain.seconds) (int $.Values.drain.shutdownTimeoutSeconds) $least) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- $wrong = append $wrong "autoscaling.enabled and keda.enabled: two autoscalers would fight over the same pods. Turn one off." -}}
{{- end -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- with index $.Values $name -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- $wrong = append $wrong (printf "%s: minReplicas %d is more than maxReplicas %d." $name (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.keda.prometheusAddress) -}}
{{- $wrong = append $wrong "keda.prometheusAddress: KEDA asks Prometheus for the rate of requests. Say where, as http://prometheus.monitoring:9090." -}}
{{- end -}}
{{- if has (toString .Values.podDisruptionBudget.maxUnavailable) (list "0" "0%") -}}
{{- $wrong = append $wrong "podDisruptionBudget.maxUnavailable: 0 would block every drain of a node, and so every upgrade. At least 1 pod must be allowed to go." -}}
{{- end -}}
{{- if eq (int .Values.ports.http) (int .Values.ports.admin) -}}
{{- $wrong = append $wrong (printf "ports.http and ports.admin: both are %d, and each listener needs its own." (int .Values.ports.http)) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $wrong = append $wrong "ingress.hosts: an Ingress needs a host. List at least one, as items.example." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "httpRoute.parentRefs: a route belongs to a Gateway. Name it, as {name: public, namespace: gateway}." -}}
{{- end -}}
{{- if and .Values.httpRoute.canary.weight (not .Values.httpRoute.canary.service) -}}
{{- $wrong = append $wrong (printf "httpRoute.canary: %d per cent of the requests go to no Service. Name that of the other release in canary.service, or make canary.weight 0." (int .Values.httpRoute.canary.weight)) -}}
{{- end -}}
{{- if eq .Values.httpRoute.canary.service (include "janus.fullname" .) -}}
{{- $wrong = append $wrong (printf "httpRoute.canary.service: %s is this release's own. Name that of the other release." .Values.httpRoute.canary.service) -}}
{{- end -}}
{{- if gt (len .Values.data.content) 1048576 -}}
{{- $wrong = append $wrong (printf "data.content: %d bytes are more than the 1 MiB that a ConfigMap holds. Mount a volume, and name the file in settings.data." (len .Values.data.content)) -}}
{{- end -}}
{{- $most := include "janus.maxDataBytes" . | int64 -}}
{{- $connections := index .Values.settings "max-connections" | default 65536 | int64 -}}
{{- if lt $most 1 -}}
{{- $wrong = append $wrong (printf "resources.memory: %s is too little for any data with settings.max-connections %d. Give it more than %sMi, or lower settings.max-connections." .Values.resources.memory $connections (include "janus.memoryNeededMi" (list . 0))) -}}
{{- else if gt (len .Values.data.content | int64) $most -}}
{{- $wrong = append $wrong (printf "data.content: %d bytes are more than resources.memory %s holds while they change, which is %d with settings.max-connections %d. Make it %sMi, or lower settings.max-connections." (len .Values.data.content) .Values.resources.memory $most $connections (include "janus.memoryNeededMi" (list . (len .Values.data.content)))) -}}
{{- end -}}
{{- if and .Values.data.content .Values.data.existingConfigMap -}}
{{- $wrong = append $wrong "data.content and data.existingConfigMap: the data can come from one of them only. Leave one out." -}}
{{- end -}}
{{- if and (hasKey .Values.settings "data") (include "janus.dataConfigMap" .) -}}
{{- $wrong = append $wrong "settings.data: data.content or data.existingConfigMap names the data already. Leave one out." -}}
{{- end -}}
{{- if and .Values.admin.existingSecret .Values.externalSecret.enabled -}}
{{- $wrong = append $wrong "admin.existingSecret and externalSecret.enabled: the admin token can come from one of them only. Leave one out." -}}
{{- end -}}
{{- if and .Values.externalSecret.enabled (not .Values.externalSecret.remoteKey) -}}
{{- $wrong = append $wrong "externalSecret.remoteKey: which secret of the store holds the admin token? It is Terraform's output secret_name." -}}
{{- end -}}
{{- if and .Values.secretStore.enabled (not .Values.secretStore.region) -}}
{{- $wrong = append $wrong "secretStore.region: in which AWS region is the secret? As eu-central-1." -}}
{{- end -}}
{{- if and .Values.secretStore.enabled (ne .Values.externalSecret.store.kind "SecretStore") -}}
{{- $wrong = append $wrong "secretStore.enabled makes a SecretStore, and externalSecret.store.kind asks for a ClusterSecretStore. Turn one of them off." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (eq .Values.service.type "LoadBalancer") (not .Values.networkPolicy.loadBalancerCIDRs) -}}
{{- $wrong = append $wrong "networkPolicy.loadBalancerCIDRs: the policy would shut out the load balancer of service.type LoadBalancer. List its subnets." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (or .Values.ingress.enabled .Values.httpRoute.enabled) (not .Values.networkPolicy.gatewayNamespace) -}}
{{- $wrong = append $wrong "networkPolicy.gatewayNamespace: the policy would shut out the controller of ingress or httpRoute. Name its namespace." -}}
{{- end -}}
{{- if and (include "janus.proxyProtocol" .) (not (include "janus.trustedProxies" .)) -}}
{{- $wrong = append $wrong "settings.proxy-protocol: anybody could name any client. List the subnets of the load balancer in settings.trusted-proxies." -}}
{{- end -}}
{{- with $wrong -}}
{{- fail (printf "these values cannot be:\n- %s\n" (join "\n- " .)) -}}
{{- end -}}
{{- end -}}
