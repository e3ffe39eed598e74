"""What the rendered objects promise: a restricted pod, a drain that adds up, a policy that lets in who is listed."""

import json
import re
import unittest

import yaml

from chart import Refused, container, one, read, render

OPEN = {
    "networkPolicy": {
        "enabled": True,
        "loadBalancerCIDRs": ["10.0.0.0/24", "10.0.1.0/24"],
        "gatewayNamespace": "gateway",
        "monitoringNamespace": "observability",
        "clients": [{"podSelector": {"matchLabels": {"app": "shop"}}}],
        "adminClients": [{"podSelector": {"matchLabels": {"app": "publisher"}}}],
    }
}


class Pod(unittest.TestCase):
    """Of the Deployment, and of the test."""

    def test_it_is_restricted(self):
        objects = render(environment="prod")
        server = one(objects, "Deployment")["spec"]["template"]["spec"]
        for spec in (server, one(objects, "Pod")["spec"]):
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertFalse(spec["enableServiceLinks"])
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            for each in spec["containers"]:
                security = each["securityContext"]
                self.assertTrue(security["readOnlyRootFilesystem"])
                self.assertFalse(security["allowPrivilegeEscalation"])
                self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                self.assertEqual(each["resources"]["requests"]["memory"], each["resources"]["limits"]["memory"])
                self.assertNotIn("cpu", each["resources"]["limits"])

    def test_data_has_the_memory_that_is_left(self):
        formula = yaml.safe_load(read("helm/janus/memory.yaml"))
        for memory, connections, mebibytes in (("128Mi", 4096, 8), ("64Mi", 1024, 4), ("1Gi", 65536, 0), ("2G", 4096, 452)):
            values = {"resources": {"memory": memory}, "settings": {"max-connections": connections}}
            if not mebibytes:
                with self.assertRaises(Refused):
                    render(values)
                continue
            toml = one(render(values), "ConfigMap", "janus")["data"]["janus.toml"]
            found = re.search(r'^max-data-bytes = "(\d+)"$', toml, re.M)
            self.assertEqual(int(found[1]) >> 20, mebibytes, toml)
        own = render({"settings": {"max-data-bytes": "3MiB"}})
        self.assertEqual(one(own, "ConfigMap", "janus")["data"]["janus.toml"].count("max-data-bytes"), 1)
        for document in ("docs/capacity.md", "helm/janus/values.yaml"):
            text = " ".join(read(document).replace("#", " ").split())
            self.assertIn(f"{formula['baseMiB']} MiB, four times the data and {formula['perConnectionKiB']} KiB", text)
        self.assertEqual(formula["perDataByte"], 4)

    def test_nothing_is_mounted_by_sub_path(self):
        for environment in ("dev", "staging", "prod"):
            for mount in container(render({"data": {"content": "[]"}}, environment=environment))["volumeMounts"]:
                self.assertNotIn("subPath", mount)

    def test_workers_follow_the_request(self):
        workers = container(render())["env"][0]
        self.assertEqual(workers["name"], "JANUS_WORKERS")
        self.assertEqual(workers["valueFrom"]["resourceFieldRef"], {"resource": "requests.cpu"})

    def test_probes_ask_the_admin_port(self):
        server = container(render())
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            self.assertEqual(server[probe]["httpGet"], {"path": path, "port": "admin"})

    def test_revisions_are_spread_by_themselves(self):
        spread = one(render(), "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
        self.assertEqual(
            [each["topologyKey"] for each in spread], ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        )
        for each in spread:
            self.assertEqual(each["matchLabelKeys"], ["pod-template-hash"])

    def test_an_autoscaler_alone_decides_on_replicas(self):
        self.assertNotIn("replicas", one(render(environment="prod"), "Deployment")["spec"])
        self.assertEqual(one(render(), "Deployment")["spec"]["replicas"], 2)

    def test_the_rate_of_requests_is_that_of_users_over_the_window(self):
        keda = {"enabled": True, "prometheusAddress": "http://prometheus:9090", "rateWindow": "20s"}
        (trigger,) = one(render({"keda": keda}), "ScaledObject")["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        self.assertTrue(query.startswith('sum(rate(http_requests_total{namespace="web",job="janus",route!~"'), query)
        self.assertTrue(query.endswith('"}[20s]))'), query)
        self.assertIn("/readyz", query)

    def test_settings_roll_the_pods_and_data_does_not(self):
        def annotations(*values):
            return one(render(*values), "Deployment")["spec"]["template"]["metadata"]["annotations"]

        data, other = {"data": {"content": "[1]"}}, {"data": {"content": "[2]"}}
        self.assertEqual(annotations(data), annotations(other))
        self.assertNotEqual(annotations(), annotations({"settings": {"log-level": "debug"}}))
        secret = {"externalSecret": {"enabled": True, "remoteKey": "a"}}
        moved = {"externalSecret": {"enabled": True, "remoteKey": "b"}}
        self.assertNotEqual(annotations(secret), annotations(moved))

    def test_data_is_spelled_as_it_was(self):
        text = '[{"id":1,"price":1.10,"big":123456789012345678901234567890,"html":"<&>"}]\n'
        objects = render({"data": {"content": text, "fileName": "prices.json"}})
        self.assertEqual(one(objects, "ConfigMap", "janus-data")["data"], {"prices.json": text})
        self.assertIn("--data=/etc/janus/data/prices.json", container(objects)["args"])

    def test_the_pod_starts_before_the_secret_is_there(self):
        objects = render(environment="prod")
        volumes = one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
        secret = next(volume["secret"] for volume in volumes if volume["name"] == "secret")
        self.assertTrue(secret["optional"])
        external = one(objects, "ExternalSecret")["spec"]
        self.assertEqual(secret["secretName"], external["target"]["name"])
        token = {variable["name"]: variable.get("value") for variable in container(objects)["env"]}
        self.assertEqual(token["JANUS_ADMIN_TOKEN_FILE"], f"/etc/janus/secret/{external['data'][0]['secretKey']}")

    def test_the_secret_is_found_by_one_value_without_keys(self):
        for environment in ("staging", "prod"):
            objects = render(environment=environment)
            external = one(objects, "ExternalSecret")["spec"]
            self.assertEqual(external["data"][0]["remoteRef"]["key"], f"janus/{environment}/app")
            store = one(objects, "SecretStore")
            self.assertEqual(external["secretStoreRef"], {"kind": "SecretStore", "name": store["metadata"]["name"]})
            self.assertNotIn("auth", store["spec"]["provider"]["aws"])


class Drain(unittest.TestCase):
    """One value decides how long a pod goes on."""

    def check(self, seconds, sleep, delay, grace, **more):
        """preStop, --drain-delay and the grace period that follow from `drain.seconds`."""
        objects = render({"drain": {"seconds": seconds, **more}})
        server = container(objects)
        found = server.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds")
        self.assertEqual(found, sleep)
        self.assertIn(f"--drain-delay={delay}s", server["args"])
        pod = one(objects, "Deployment")["spec"]["template"]["spec"]
        self.assertEqual(pod["terminationGracePeriodSeconds"], grace)
        with self.assertRaises(Refused):
            render({"drain": {"seconds": seconds, **more}, "terminationGracePeriodSeconds": grace - 1})

    def test_everything_follows_from_one_value(self):
        self.check(130, 130, 15, 180)
        self.check(5, 5, 5, 45)
        self.check(600, 600, 15, 650)
        self.check(130, 130, 15, 210, shutdownTimeoutSeconds=60)

    def test_it_can_be_turned_off(self):
        self.check(0, None, 0, 35)

    def test_no_pod_goes_before_its_successor_is_ready(self):
        strategy = one(render(environment="prod"), "Deployment")["spec"]["strategy"]
        self.assertEqual(strategy["rollingUpdate"], {"maxUnavailable": 0, "maxSurge": 1})

    def test_the_load_balancer_asks_for_readiness(self):
        objects = render(environment="prod")
        service = one(objects, "Service", "janus")
        prefix = "service.beta.kubernetes.io/aws-load-balancer-"
        notes = {key.removeprefix(prefix): value for key, value in service["metadata"]["annotations"].items()}
        self.assertEqual(service["spec"]["loadBalancerClass"], "service.k8s.aws/nlb")
        self.assertEqual(notes["nlb-target-type"], "ip")
        self.assertEqual(notes["scheme"], "internet-facing")
        self.assertEqual(notes["healthcheck-path"], "/readyz")
        ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
        self.assertEqual(notes["healthcheck-port"], str(ports["admin"]))
        self.assertIn("load_balancing.cross_zone.enabled=true", notes["attributes"])
        delay = re.search(r"deregistration_delay\.timeout_seconds=(\d+)", notes["target-group-attributes"])
        self.assertLess(int(delay.group(1)), container(objects)["lifecycle"]["preStop"]["sleep"]["seconds"])
        self.assertEqual(notes["ssl-ports"], str(service["spec"]["ports"][0]["port"]))
        self.assertNotIn("proxy-protocol", notes)

    def test_the_load_balancer_names_clients_where_janus_believes_it(self):
        settings = {"proxy-protocol": True, "trusted-proxies": ["10.0.0.0/24", "10.0.1.0/24"]}
        objects = render({"settings": settings}, environment="prod")
        prefix = "service.beta.kubernetes.io/aws-load-balancer-"
        annotations = one(objects, "Service", "janus")["metadata"]["annotations"]
        notes = {key.removeprefix(prefix): value for key, value in annotations.items()}
        self.assertEqual(notes["proxy-protocol"], "*")
        # What it asks begins so as well, and only the port for data takes that.
        self.assertEqual((notes["healthcheck-port"], notes["healthcheck-path"]), ("traffic-port", "/health"))
        toml = one(objects, "ConfigMap", "janus")["data"]["janus.toml"]
        self.assertIn("proxy-protocol = true", toml)
        self.assertIn('trusted-proxies = ["10.0.0.0/24","10.0.1.0/24"]', toml)
        asked = {each["name"]: each["args"] for each in one(objects, "Pod")["spec"]["containers"]}
        self.assertEqual(asked["data"][2:], ["--proxy-protocol", "--trusted-proxies", "10.0.0.0/24,10.0.1.0/24"])
        self.assertEqual(len(asked["admin"]), 2)

    def test_a_base_path_is_everywhere(self):
        for path in ("/catalogue", "/catalogue/"):
            values = {
                "settings": {"base-path": path},
                "ingress": {"enabled": True, "hosts": ["items.example"]},
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
            }
            objects = render(values)
            (rule,) = one(objects, "Ingress")["spec"]["rules"]
            self.assertEqual(rule["http"]["paths"][0]["path"], "/catalogue")
            (rule,) = one(objects, "HTTPRoute")["spec"]["rules"]
            self.assertEqual(rule["matches"][0]["path"]["value"], "/catalogue")
            asked = {each["name"]: each["args"] for each in one(objects, "Pod")["spec"]["containers"]}
            self.assertTrue(asked["data"][1].endswith("/catalogue/items"))


class Route(unittest.TestCase):
    """Who gets how many of the requests."""

    def check(self, canary, backends):
        """The Services of the route, each with its weight."""
        route = {"enabled": True, "parentRefs": [{"name": "public"}], "canary": canary}
        (rule,) = one(render({"httpRoute": route}), "HTTPRoute")["spec"]["rules"]
        found = {each["name"]: each.get("weight") for each in rule["backendRefs"]}
        self.assertEqual(found, backends)
        self.assertEqual({each["port"] for each in rule["backendRefs"]}, {80})

    def test_it_is_the_releases_alone(self):
        self.check({}, {"janus": None})

    def test_a_canary_gets_its_share_and_the_release_the_rest(self):
        self.check({"service": "janus-canary", "weight": 10}, {"janus": 90, "janus-canary": 10})
        self.check({"service": "janus-canary"}, {"janus": 100, "janus-canary": 0})
        self.check({"service": "janus-canary", "weight": 100}, {"janus": 0, "janus-canary": 100})


class Policy(unittest.TestCase):
    """No network plugin stands behind these tests: they read the rules."""

    def setUp(self):
        self.objects = render(OPEN)
        self.spec = one(self.objects, "NetworkPolicy")["spec"]

    def peers(self, port):
        """Who may connect to a port, by its rules."""
        rules = [rule for rule in self.spec["ingress"] if {"protocol": "TCP", "port": port} in rule["ports"]]
        self.assertEqual(len(rules), 1)
        self.assertEqual(len(rules[0]["ports"]), 1)
        return rules[0]["from"]

    def test_all_else_is_denied(self):
        self.assertEqual(self.spec["policyTypes"], ["Ingress", "Egress"])
        for rule in self.spec["ingress"]:
            self.assertTrue(rule["from"] and rule["ports"], "a rule without them lets in everybody")
        for rule in self.spec["egress"]:
            self.assertTrue(rule["to"] and rule["ports"])
        labels = one(self.objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        self.assertLessEqual(self.spec["podSelector"]["matchLabels"].items(), labels.items())

    def test_the_load_balancer_reaches_data_and_health(self):
        blocks = [{"ipBlock": {"cidr": "10.0.0.0/24"}}, {"ipBlock": {"cidr": "10.0.1.0/24"}}]
        for port in ("http", "admin"):
            self.assertEqual([peer for peer in self.peers(port) if "ipBlock" in peer], blocks)

    def test_namespaces_reach_what_they_are_for(self):
        def namespaces(port):
            return [
                peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
                for peer in self.peers(port)
                if "namespaceSelector" in peer
            ]

        self.assertEqual(namespaces("http"), ["gateway"])
        self.assertEqual(namespaces("admin"), ["observability"])

    def test_the_test_pod_and_clients_get_in(self):
        def selected(port):
            return [peer["podSelector"]["matchLabels"] for peer in self.peers(port) if "podSelector" in peer]

        labels = one(self.objects, "Pod")["metadata"]["labels"]
        for port, client in (("http", "shop"), ("admin", "publisher")):
            test, other = selected(port)
            self.assertLessEqual(test.items(), labels.items())
            self.assertEqual(other, {"app": client})

    def test_the_test_pod_is_no_backend(self):
        labels = one(self.objects, "Pod")["metadata"]["labels"]
        for service in (one(self.objects, "Service", "janus"), one(self.objects, "Service", "janus-admin")):
            self.assertFalse(service["spec"]["selector"].items() <= labels.items())

    def test_only_names_are_asked_for(self):
        (rule,) = self.spec["egress"]
        self.assertEqual({(port["protocol"], port["port"]) for port in rule["ports"]}, {("UDP", 53), ("TCP", 53)})
        (peer,) = rule["to"]
        self.assertEqual(peer["namespaceSelector"]["matchLabels"], {"kubernetes.io/metadata.name": "kube-system"})
        self.assertEqual(peer["podSelector"]["matchLabels"], {"k8s-app": "kube-dns"})

    def test_prod_lets_its_load_balancer_in(self):
        ingress = one(render(environment="prod"), "NetworkPolicy")["spec"]["ingress"]
        for rule in ingress:
            self.assertTrue(any("ipBlock" in peer for peer in rule["from"]))


class Dashboard(unittest.TestCase):
    """There is no Grafana here: what it would refuse or show wrongly is looked for in its JSON."""

    def test_panels_have_places_of_their_own(self):
        objects = render(environment="prod")
        config = one(objects, "ConfigMap", "janus-dashboard")
        self.assertEqual(config["metadata"]["labels"]["grafana_dashboard"], "1")
        dashboard = json.loads(config["data"]["janus.json"])
        taken, ids = set(), set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            self.assertFalse(cells & taken, f"{panel['title']} lies on another")
            self.assertNotIn(panel["id"], ids)
            taken |= cells
            ids.add(panel["id"])
            references = [target["refId"] for target in panel.get("targets", [])]
            self.assertEqual(references, ["A", "B", "C"][: len(references)], panel["title"])

    def test_it_asks_only_for_what_janus_has(self):
        documented = set(re.findall(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram)", read("docs/metrics.md"), re.M))
        for values in ({}, {"nativeHistograms": True}):
            text = one(render(values, environment="prod"), "ConfigMap", "janus-dashboard")["data"]["janus.json"]
            for panel in json.loads(text)["panels"]:
                for target in panel.get("targets", ()):
                    for name in re.findall(r"([a-z_]+)\{namespace", target["expr"]):
                        self.assertIn(re.sub("_(bucket|sum|count)$", "", name), documented)


if __name__ == "__main__":
    unittest.main()
