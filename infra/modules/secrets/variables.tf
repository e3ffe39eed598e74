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

variable "account_id" {
  description = "AWS account, 12 digits."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "cluster_name" {
  description = "The cluster that the External Secrets Operator runs in."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the secret."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "recovery_window_days" {
  description = "Days in which a deleted secret can be brought back; its name is taken for so long."
  type        = number

  validation {
    condition     = var.recovery_window_days >= 7 && var.recovery_window_days <= 30
    error_message = "recovery_window_days must be from 7 to 30."
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

variable "rotation_days" {
  description = "Days between rotations, where there is a function for them."
  type        = number
  default     = 30

  validation {
    condition     = var.rotation_days >= 1 && var.rotation_days <= 365
    error_message = "rotation_days must be from 1 to 365."
  }
}
