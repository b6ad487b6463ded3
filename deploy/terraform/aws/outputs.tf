output "cluster" {
  description = "What `aws eks update-kubeconfig --name` takes."
  value       = aws_eks_cluster.this.name
}

output "registry" {
  description = "The chart's images.registry."
  value       = trimsuffix(values(aws_ecr_repository.this)[0].repository_url, "/${keys(aws_ecr_repository.this)[0]}")
}

output "artifacts" {
  description = "The chart's mlflow.artifacts."
  value       = "s3://${aws_s3_bucket.this.bucket}/mlflow"
}

output "secret" {
  description = "The chart's secrets.external.path."
  value       = aws_secretsmanager_secret.this.name
}

output "stores" {
  description = "The network of PostgreSQL and Redis: the chart's networkPolicies.stores."
  value       = aws_vpc.this.cidr_block
}
