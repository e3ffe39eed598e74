variable "name" {
  description = "Name of the role."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be a role name of IAM, of at most 64 characters."
  }
}

variable "account_id" {
  description = "AWS account, 12 digits: the only one whose clusters may take the role."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "cluster_name" {
  description = "The EKS cluster."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster."
  }
}

variable "namespace" {
  description = "Namespace of the service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a name of Kubernetes (RFC 1123 label)."
  }
}

variable "service_account" {
  description = "Name of the service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.service_account))
    error_message = "service_account must be a name of Kubernetes."
  }
}

variable "policy" {
  description = "What the pods may do: an IAM policy as JSON."
  type        = string
  default     = null

  validation {
    condition     = var.policy == null || can(jsondecode(var.policy).Statement)
    error_message = "policy must be an IAM policy as JSON."
  }
}

variable "managed_policy_arn" {
  description = "A policy of AWS instead, where AWS keeps one for just this."
  type        = string
  default     = null

  validation {
    condition     = (var.managed_policy_arn == null) != (var.policy == null)
    error_message = "Set exactly one of policy and managed_policy_arn."
  }
}
