variable "environment" {
  description = "dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment must be dev, staging or prod."
  }
}

variable "region" {
  description = "AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, as eu-central-1."
  }
}

variable "zones" {
  description = "The three availability zones, in an order that never changes."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == 3
    error_message = "zones must name three different availability zones."
  }
}

variable "cidr" {
  description = "The VPC's addresses, a private /16."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16")
    error_message = "cidr must be a /16, as 10.10.0.0/16."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own."
  type        = bool

  validation {
    condition     = var.nat_per_zone || var.environment != "prod"
    error_message = "prod needs a NAT gateway in each zone: with one, the loss of its zone takes the others along."
  }
}

variable "instance_types" {
  description = "Instance types of the nodes, x86-64, in the order of preference."
  type        = list(string)

  validation {
    condition     = length(var.instance_types) > 0
    error_message = "instance_types must name at least one."
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

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number

  validation {
    condition     = var.log_retention_days >= 1
    error_message = "log_retention_days must be positive: nothing is kept for ever."
  }
}

variable "recovery_window_days" {
  description = "Days in which a deleted key or secret can be brought back."
  type        = number

  validation {
    condition     = var.recovery_window_days >= 7 && var.recovery_window_days <= 30
    error_message = "recovery_window_days must be from 7 to 30."
  }
}

variable "namespace" {
  description = "The namespace that Janus is deployed to."
  type        = string
  default     = "janus"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a name of Kubernetes (RFC 1123 label)."
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
}

variable "api_public_cidrs" {
  description = "Public networks that reach the API's public endpoint, none wider than /16; empty switches that endpoint off."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.api_public_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "api_public_cidrs must not open the API to the internet: no network may be wider than /16, 0.0.0.0/0 least of all. A runner inside the VPC needs none (docs/infrastructure.md)."
  }
}

variable "github" {
  description = "The repository on GitHub that delivers. With both ids the roles trust the immutable form of the subject, without them the one of names."
  type = object({
    owner         = string
    repository    = string
    owner_id      = optional(number)
    repository_id = optional(number)
  })

  validation {
    condition     = alltrue([for name in [var.github.owner, var.github.repository] : can(regex("^[A-Za-z0-9._-]+$", name))])
    error_message = "github.owner and github.repository must be names, without a wildcard."
  }
}

variable "github_oidc_provider_arn" {
  description = "GitHub's OIDC provider, if the account has one already (an account can have but one); null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null || can(regex(":oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn must be the ARN of the provider token.actions.githubusercontent.com."
  }
}

variable "token_version" {
  description = "Raise it to have a new admin token made at the next apply."
  type        = number
  default     = 1

  validation {
    condition     = var.token_version >= 1 && floor(var.token_version) == var.token_version
    error_message = "token_version must be a whole number from 1."
  }
}

variable "rotation_lambda_arn" {
  description = "The Lambda function that rotates the secret; none if null."
  type        = string
  default     = null

  validation {
    condition     = var.rotation_lambda_arn == null || can(regex("^arn:[^:]+:lambda:", var.rotation_lambda_arn))
    error_message = "rotation_lambda_arn must be the ARN of a Lambda function."
  }
}
