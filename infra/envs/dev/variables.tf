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
