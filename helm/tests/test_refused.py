"""Values that must not be taken, and the words that say which and why."""

import json
import tempfile
import unittest

from chart import Refused, render


class Refusals(unittest.TestCase):
    """Each is refused, and the message names the value."""

    def check(self, values, *words, environment=None):
        """These values fail with a message that holds these words."""
        with self.subTest(values):
            with self.assertRaises(Refused) as caught:
                render(values, environment=environment)
            for word in words:
                self.assertIn(word, str(caught.exception))

    def test_unknown_values(self):
        self.check({"replica": 2}, "replica", "not allowed")
        self.check({"service": {"prot": 80}}, "/service", "prot")
        self.check({"settings": {"log-levle": "debug"}}, "/settings", "log-levle")
        self.check({"probes": {"liveness": {"path": "/"}}}, "/probes/liveness", "path")

    def test_settings_that_are_the_charts_own(self):
        for name in ("listen", "admin-listen", "workers", "drain-delay", "shutdown-timeout", "admin-token-file"):
            self.check({"settings": {name: "1"}}, "/settings", name)

    def test_values_of_the_wrong_kind(self):
        self.check({"replicas": "two"}, "/replicas")
        self.check({"service": {"type": "NodePort"}}, "/service/type")
        self.check({"image": {"digest": "latest"}}, "/image/digest")
        self.check({"keda": {"rateWindow": "two minutes"}}, "/keda/rateWindow")
        self.check({"networkPolicy": {"loadBalancerCIDRs": ["10.0.0.1"]}}, "/networkPolicy/loadBalancerCIDRs")
        self.check({"prometheusRule": {"slo": {"latencySeconds": "0.003"}}}, "/prometheusRule/slo/latencySeconds")
        self.check({"prometheusRule": {"slo": {"availabilityPercent": 100}}}, "/prometheusRule/slo/availabilityPercent")
        self.check({"prometheusRule": {"for": {"JanusAbsent": "soon"}}}, "/prometheusRule/for/JanusAbsent")
        self.check({"prometheusRule": {"for": {"JanusDown": "5m"}}}, "/prometheusRule/for", "JanusDown")

    def test_durations_that_the_operator_would_spell_anew(self):
        for written in ("15m", "1h", "90m0s", "90s", "0m5s", "1d"):
            self.check({"externalSecret": {"refreshInterval": written}}, "/externalSecret/refreshInterval")
        for written in ("15m0s", "1h0m0s", "5s", "0s"):
            render({"externalSecret": {"refreshInterval": written}})

    def test_a_disruption_budget_that_blocks_drains(self):
        for none in (0, "0%"):
            self.check({"podDisruptionBudget": {"maxUnavailable": none}}, "would block every drain", environment="prod")

    def test_two_autoscalers(self):
        keda = {"enabled": True, "prometheusAddress": "http://prometheus:9090"}
        self.check({"keda": keda}, "autoscaling.enabled and keda.enabled", environment="prod")

    def test_autoscalers_without_room_or_source(self):
        self.check({"autoscaling": {"enabled": True, "minReplicas": 11}}, "minReplicas 11 is more than maxReplicas 10")
        self.check({"keda": {"enabled": True}}, "keda.prometheusAddress")

    def test_a_grace_period_that_is_too_short(self):
        self.check({"terminationGracePeriodSeconds": 179}, "179 is too short", "need 180")
        self.check({"terminationGracePeriodSeconds": 44, "drain": {"seconds": 5}}, "need 45")
        render({"terminationGracePeriodSeconds": 180})

    def test_two_sources_of_one_thing(self):
        self.check({"data": {"content": "[]", "existingConfigMap": "items"}}, "data.content and data.existingConfigMap")
        self.check({"data": {"content": "[]"}, "settings": {"data": "/x"}}, "settings.data")
        self.check({"admin": {"existingSecret": "token"}}, "admin.existingSecret and externalSecret", environment="prod")
        self.check({"externalSecret": {"store": {"kind": "ClusterSecretStore"}}}, "secretStore.enabled", environment="prod")

    def test_routes_from_nowhere(self):
        self.check({"ingress": {"enabled": True}}, "ingress.hosts")
        self.check({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs")

    def test_a_canary_that_is_none(self):
        self.check({"httpRoute": {"canary": {"weight": 10}}}, "httpRoute.canary", "10 per cent", "canary.service")
        self.check({"httpRoute": {"canary": {"service": "janus"}}}, "httpRoute.canary.service", "this release's own")
        self.check({"httpRoute": {"canary": {"service": "other", "weight": 101}}}, "/httpRoute/canary/weight")

    def test_ports_that_are_one(self):
        self.check({"ports": {"admin": 8080}}, "ports.http and ports.admin", "8080")

    def test_data_that_does_not_fit(self):
        values = {"data": {"content": "x" * ((1 << 20) + 1)}}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values, file)
            file.flush()
            with self.assertRaises(Refused) as caught:
                render(more=["--values", file.name])
        self.assertIn("data.content: 1048577 bytes", str(caught.exception))

    def test_data_that_the_memory_does_not_hold(self):
        data = {"data": {"content": "x" * 100_000}}
        # 32 MiB, 64 for the connections, and four bytes for each of the data.
        render(data, {"resources": {"memory": str((96 << 20) + 400_000)}})
        less = {"resources": {"memory": str((96 << 20) + 399_999)}}
        self.check({**less, **data}, "data.content: 100000 bytes", "which is 99999", "Make it 97Mi", "settings.max-connections 4096")
        render(less, data, {"settings": {"max-connections": 4000}})
        self.check({"resources": {"memory": "96Mi"}}, "resources.memory: 96Mi", "more than 96Mi")
        self.check({"resources": {"memory": "1Gi"}, "settings": {"max-connections": 65536}}, "more than 1056Mi")

    def test_secrets_from_nowhere(self):
        self.check({"externalSecret": {"enabled": True}}, "externalSecret.remoteKey")
        self.check({"secretStore": {"enabled": True}}, "secretStore.region")

    def test_a_policy_that_shuts_out_what_is_asked_for(self):
        policy = {"enabled": True}
        self.check({"networkPolicy": policy, "service": {"type": "LoadBalancer"}}, "networkPolicy.loadBalancerCIDRs")
        self.check({"networkPolicy": policy, "httpRoute": {"enabled": True}}, "networkPolicy.gatewayNamespace")
        self.check({"networkPolicy": policy, "ingress": {"enabled": True}}, "networkPolicy.gatewayNamespace")

    def test_a_proxy_protocol_that_anybody_may_speak(self):
        self.check({"settings": {"proxy-protocol": True}}, "settings.proxy-protocol", "settings.trusted-proxies")
        self.check({"settings": {"proxy-protocol": "true", "trusted-proxies": ""}}, "settings.trusted-proxies")

    def test_all_that_is_wrong_is_told_together(self):
        values = {"ingress": {"enabled": True}, "secretStore": {"enabled": True}}
        self.check(values, "ingress.hosts", "secretStore.region")

    def test_an_old_kubernetes(self):
        with self.assertRaises(Refused) as caught:
            render(more=["--kube-version", "1.33.9"])
        self.assertIn("1.33.9", str(caught.exception))
        render(more=["--kube-version", "v1.34.1-eks-0123456"])


if __name__ == "__main__":
    unittest.main()
