"""Looks into the emulated AWS account by its API, not by Terraform's state.

Use: account.py inventory            one line for each thing there is that Terraform could have made
     account.py check OUTPUTS.json   compares the account with the outputs of `terraform output -json`

AWS_ENDPOINT_URL names the emulator. What is pending deletion (keys, secrets) counts as gone.
"""

import json
import sys

import botocore.session

SESSION = botocore.session.get_session()


def call(service, operation, result, **arguments):
    """All pages of one answer."""
    client = SESSION.create_client(service)
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**arguments)
    else:
        pages = [getattr(client, operation)(**arguments)]
    return [entry for page in pages for entry in page[result]]


def inventory():
    ec2 = {
        "describe_vpcs": ("Vpcs", "VpcId"),
        "describe_subnets": ("Subnets", "SubnetId"),
        "describe_security_groups": ("SecurityGroups", "GroupId"),
        "describe_route_tables": ("RouteTables", "RouteTableId"),
        "describe_internet_gateways": ("InternetGateways", "InternetGatewayId"),
        "describe_vpc_endpoints": ("VpcEndpoints", "VpcEndpointId"),
        "describe_launch_templates": ("LaunchTemplates", "LaunchTemplateId"),
        "describe_flow_logs": ("FlowLogs", "FlowLogId"),
        "describe_addresses": ("Addresses", "AllocationId"),
    }
    for operation, (result, name) in ec2.items():
        for entry in call("ec2", operation, result):
            yield f"{result} {entry[name]}"
    for gateway in call("ec2", "describe_nat_gateways", "NatGateways"):
        if gateway["State"] != "deleted":
            yield f"NatGateways {gateway['NatGatewayId']}"
    for cluster in call("eks", "list_clusters", "clusters"):
        yield f"Clusters {cluster}"
    for role in call("iam", "list_roles", "Roles"):
        yield f"Roles {role['RoleName']}"
    for provider in call("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"):
        yield f"OpenIDConnectProviders {provider['Arn']}"
    for repository in call("ecr", "describe_repositories", "repositories"):
        yield f"Repositories {repository['repositoryName']}"
    for group in call("logs", "describe_log_groups", "logGroups"):
        yield f"LogGroups {group['logGroupName']}"
    for secret in call("secretsmanager", "list_secrets", "SecretList"):
        if "DeletedDate" not in secret:
            yield f"Secrets {secret['Name']}"
    kms = SESSION.create_client("kms")
    for key in call("kms", "list_keys", "Keys"):
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield f"Keys {key['KeyId']}"
    for alias in call("kms", "list_aliases", "Aliases"):
        if not alias["AliasName"].startswith("alias/aws/"):
            yield f"Aliases {alias['AliasName']}"
    for bucket in call("s3", "list_buckets", "Buckets"):
        yield f"Buckets {bucket['Name']}"


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"account.py: {what}: found {found!r}, want {wanted!r}")
    print(f"  holds: {what}")


def check(outputs):
    """What somebody who reads the outputs finds in the account."""
    cluster = outputs["cluster_name"]
    eks = SESSION.create_client("eks")
    described = eks.describe_cluster(name=cluster)["cluster"]
    expect("the cluster is active", described["status"], "ACTIVE")
    expect("access entries only", described["accessConfig"]["authenticationMode"], "API")
    expect("the entries are those of the output", set(call("eks", "list_access_entries", "accessEntries", clusterName=cluster)),
           set(outputs["access"].values()))
    groups = call("eks", "list_nodegroups", "nodegroups", clusterName=cluster)
    subnets = {subnet for group in groups
               for subnet in eks.describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]["subnets"]}
    expect("nodes are in the three private subnets", subnets, set(outputs["private_subnet_ids"].values()))
    expect("add-ons", set(call("eks", "list_addons", "addons", clusterName=cluster)),
           {"vpc-cni", "eks-pod-identity-agent", "coredns", "kube-proxy", "metrics-server"})
    pods = {f"{entry['namespace']}/{entry['serviceAccount']}"
            for entry in call("eks", "list_pod_identity_associations", "associations", clusterName=cluster)}
    expect("roles for pods", pods, {"kube-system/aws-node", "external-secrets/external-secrets", "logging/fluent-bit",
                                    "kube-system/aws-load-balancer-controller"})

    public = call("ec2", "describe_subnets", "Subnets", Filters=[{"Name": "tag:kubernetes.io/role/elb", "Values": ["1"]}])
    expect("load balancers' networks", sorted(subnet["CidrBlock"] for subnet in public), sorted(outputs["load_balancer_cidrs"]))

    secrets = SESSION.create_client("secretsmanager")
    value = json.loads(secrets.get_secret_value(SecretId=outputs["secret_name"])["SecretString"])
    expect("the secret of that name has a token of 48 characters", {key: len(text) for key, text in value.items()}, {"admin_token": 48})

    repositories = call("ecr", "describe_repositories", "repositories")
    expect("the registry's tags are immutable", {entry["repositoryUri"]: entry["imageTagMutability"] for entry in repositories},
           {outputs[name]: "IMMUTABLE" for name in ("registry_url", "chart_registry_url")})

    iam = SESSION.create_client("iam")
    for role in ("push", "deploy"):
        trust = iam.get_role(RoleName=outputs[f"{role}_role_arn"].split("/")[-1])["Role"]["AssumeRolePolicyDocument"]
        subject = trust["Statement"][0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        environment = outputs["environment"] + ("-images" if role == "push" else "")
        expect(f"who may {role}", subject, f"repo:example@123456/janus@456789:environment:{environment}")

    groups = {group["logGroupName"]: group.get("retentionInDays") for group in call("logs", "describe_log_groups", "logGroups")}
    expect("every log group has an end", [name for name, days in groups.items() if not days], [])
    expect("pods have one", outputs["pod_log_group"] in groups, True)


if sys.argv[1:] == ["inventory"]:
    print("\n".join(sorted(inventory())))
elif sys.argv[1:2] == ["check"] and len(sys.argv) == 3:
    with open(sys.argv[2], encoding="utf-8") as file:
        check({name: output["value"] for name, output in json.load(file).items()})
else:
    raise SystemExit(__doc__)
