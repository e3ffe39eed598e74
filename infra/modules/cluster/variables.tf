variable "name" {
  description = "Name of the cluster, and prefix of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 30 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "account_id" {
  description = "AWS account, 12 digits."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; the add-ons' versions belong to it."
  type        = string
  default     = "1.36"

  validation {
    condition     = can(regex("^1\\.(3[4-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version in standard support, as 1.36."
  }
}

variable "addon_versions" {
  description = "Versions of the EKS add-ons."
  type        = map(string)
  default = {
    "vpc-cni"                = "v1.22.4-eksbuild.3"
    "eks-pod-identity-agent" = "v1.3.10-eksbuild.3"
    "coredns"                = "v1.14.3-eksbuild.16"
    "kube-proxy"             = "v1.36.0-eksbuild.21"
    "metrics-server"         = "v0.9.0-eksbuild.5"
  }

  validation {
    condition     = toset(keys(var.addon_versions)) == toset(["vpc-cni", "eks-pod-identity-agent", "coredns", "kube-proxy", "metrics-server"])
    error_message = "addon_versions must name exactly vpc-cni, eks-pod-identity-agent, coredns, kube-proxy and metrics-server."
  }

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "Each add-on's version must be a full one, as v1.22.4-eksbuild.3."
  }

  validation {
    condition     = startswith(var.addon_versions["kube-proxy"], "v${var.kubernetes_version}.")
    error_message = "kube-proxy must have the minor version of kubernetes_version: raise both together."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0))
    error_message = "vpc_cidr must be a CIDR, as 10.0.0.0/16."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id must be the id of a VPC."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets by zone, three of them: nodes live nowhere else."
  type        = map(string)

  validation {
    condition     = length(var.private_subnet_ids) == 3
    error_message = "private_subnet_ids must have a subnet in each of three zones."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts Kubernetes secrets and the control plane's logs."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "log_retention_days" {
  description = "Days that the control plane's logs are kept."
  type        = number

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows, as 7, 30, 90 or 365."
  }
}

variable "api_public_cidrs" {
  description = "Public networks that reach the API's public endpoint; empty switches that endpoint off."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.api_public_cidrs : can(cidrhost(cidr, 0)) && can(tonumber(split("/", cidr)[1]))])
    error_message = "api_public_cidrs must be IPv4 networks, as 203.0.113.0/24."
  }

  validation {
    condition     = alltrue([for cidr in var.api_public_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "api_public_cidrs must not open the API to the internet: no network may be wider than /16, 0.0.0.0/0 least of all. A runner inside the VPC needs none (docs/infrastructure.md)."
  }
}

variable "admins" {
  description = "Who administers the cluster: a name for each, and the ARN of an IAM role or user. At least one."
  type        = map(string)

  validation {
    condition     = length(var.admins) > 0
    error_message = "admins is empty: nobody could log in to this cluster. Name at least one IAM role."
  }

  validation {
    condition     = alltrue([for arn in values(var.admins) : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "Each admin must be the ARN of an IAM role or user, not of a session (assumed-role) or an account."
  }
}

variable "readers" {
  description = "Who may look at everything but secrets: a name for each, and the ARN of an IAM role or user."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.readers) : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "Each reader must be the ARN of an IAM role or user, not of a session (assumed-role) or an account."
  }

  validation {
    condition     = length(setintersection(values(var.readers), values(var.admins))) == 0
    error_message = "Nobody can be both reader and admin: EKS has one entry for each principal."
  }
}

variable "delivery_role_arn" {
  description = "The role that deploys."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:iam::[0-9]{12}:role/.+$", var.delivery_role_arn))
    error_message = "delivery_role_arn must be the ARN of an IAM role."
  }
}

variable "delivery_namespace" {
  description = "The one namespace that the delivery role may change."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.delivery_namespace)) && !startswith(var.delivery_namespace, "kube-")
    error_message = "delivery_namespace must be a name of Kubernetes (RFC 1123 label), and none of the system's."
  }
}

variable "instance_types" {
  description = "Instance types of the nodes, x86-64, in the order of preference."
  type        = list(string)

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9]+$", type))])
    error_message = "instance_types must be EC2 instance types, as m6i.large."
  }

  validation {
    condition     = alltrue([for type in var.instance_types : !can(regex("^(a1|[a-z]+[0-9]+g[a-z-]*)\\.", type))])
    error_message = "instance_types must be x86-64: the image and the AMI are."
  }
}

variable "nodes_per_zone" {
  description = "How many nodes each zone has."
  type = object({
    min = number
    max = number
  })

  validation {
    condition     = var.nodes_per_zone.min >= 1 && var.nodes_per_zone.max >= var.nodes_per_zone.min
    error_message = "nodes_per_zone needs a min of at least 1, and a max of at least min."
  }
}

variable "node_disk_gib" {
  description = "Size of a node's disk in GiB."
  type        = number
  default     = 30

  validation {
    condition     = var.node_disk_gib >= 20 && var.node_disk_gib <= 1000
    error_message = "node_disk_gib must be from 20, which the AMI takes, to 1000."
  }
}
