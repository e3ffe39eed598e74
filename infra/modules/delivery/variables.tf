variable "region" {
  description = "AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, as eu-central-1."
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

variable "cluster_name" {
  description = "The cluster to deploy to, and prefix of the roles' names."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,49}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster, of at most 50 characters."
  }
}

variable "repository_arns" {
  description = "The repositories to push to: images and charts."
  type        = list(string)

  validation {
    condition     = length(var.repository_arns) > 0 && alltrue([for arn in var.repository_arns : can(regex("^arn:[^:]+:ecr:", arn))])
    error_message = "repository_arns must be the ARNs of ECR repositories, at least one."
  }
}

variable "github" {
  description = "The repository on GitHub. With both ids the roles trust the immutable form of the subject, without them the one of names."
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

  validation {
    condition     = (var.github.owner_id == null) == (var.github.repository_id == null)
    error_message = "Set both of github.owner_id and github.repository_id, or none."
  }
}

variable "push_environment" {
  description = "The GitHub environment whose jobs may push images."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.push_environment))
    error_message = "push_environment must be the name of a GitHub environment, without a wildcard."
  }
}

variable "deploy_environment" {
  description = "The GitHub environment whose jobs may deploy."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.deploy_environment)) && var.deploy_environment != var.push_environment
    error_message = "deploy_environment must be the name of a GitHub environment, without a wildcard, and not the one that pushes."
  }
}

variable "oidc_provider_arn" {
  description = "GitHub's OIDC provider, if the account has one already (an account can have but one); null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:[^:]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of the provider token.actions.githubusercontent.com."
  }
}
