# The same shape as for Google Cloud: a private cluster, PostgreSQL and Redis on addresses of its network, a bucket for
# artifacts and data versions, a registry, and one secret with all that the Helm chart reads by External Secrets.

data "aws_availability_zones" "this" {
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.this.names, 0, 3)
}

resource "aws_vpc" "this" {
  region               = var.region
  cidr_block           = "10.10.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "private" {
  count = 3

  region            = var.region
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 4, count.index)
  tags              = { Name = "${var.name}-private-${count.index}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_subnet" "public" {
  count = 3

  region            = var.region
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, 128 + count.index)
  tags              = { Name = "${var.name}-public-${count.index}", "kubernetes.io/role/elb" = "1" }
}

resource "aws_internet_gateway" "this" {
  region = var.region
  vpc_id = aws_vpc.this.id
}

resource "aws_eip" "nat" {
  region = var.region
  domain = "vpc"
}

# Pods fetch observations from outside; nothing comes in this way.
resource "aws_nat_gateway" "this" {
  region        = var.region
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  region = var.region
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table" "private" {
  region = var.region
  vpc_id = aws_vpc.this.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.this.id
  }
}

resource "aws_route_table_association" "public" {
  count = 3

  region         = var.region
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count = 3

  region         = var.region
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_iam_role" "cluster" {
  name = "${var.name}-cluster"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "eks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  region                    = var.region
  name                      = var.name
  role_arn                  = aws_iam_role.cluster.arn
  enabled_cluster_log_types = ["api", "audit", "authenticator"]
  depends_on                = [aws_iam_role_policy_attachment.cluster]

  access_config {
    authentication_mode = "API"
  }

  vpc_config {
    subnet_ids              = aws_subnet.private[*].id
    endpoint_private_access = true
    endpoint_public_access  = length(var.administrators) > 0
    public_access_cidrs     = length(var.administrators) > 0 ? values(var.administrators) : null
  }
}

# vpc-cni enforces the chart's network policies; the agent gives pods their roles.
resource "aws_eks_addon" "this" {
  for_each = {
    vpc-cni                = jsonencode({ enableNetworkPolicy = "true" })
    eks-pod-identity-agent = null
  }

  region               = var.region
  cluster_name         = aws_eks_cluster.this.name
  addon_name           = each.key
  configuration_values = each.value
}

resource "aws_iam_role" "nodes" {
  name = "${var.name}-nodes"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
}

resource "aws_eks_node_group" "this" {
  region          = var.region
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = var.name
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = aws_subnet.private[*].id
  instance_types  = [var.nodes.machine_type]
  depends_on      = [aws_iam_role_policy_attachment.nodes]

  scaling_config {
    desired_size = var.nodes.minimum
    min_size     = var.nodes.minimum
    max_size     = var.nodes.maximum
  }
}

# PostgreSQL and Redis are reached by the cluster's pods only.
resource "aws_security_group" "stores" {
  region      = var.region
  name        = "${var.name}-stores"
  description = "PostgreSQL and Redis of ${var.name}"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "stores" {
  for_each = { postgresql = 5432, redis = 6379 }

  region                       = var.region
  security_group_id            = aws_security_group.stores.id
  description                  = each.key
  referenced_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "random_password" "this" {
  for_each = toset(["database", "redis", "service", "jwt", "airflow", "models", "tracking", "gateway", "api_model", "jobs", "retention", "mlflow"])

  length  = 48
  special = false
}

resource "aws_db_subnet_group" "this" {
  region     = var.region
  name       = var.name
  subnet_ids = aws_subnet.private[*].id
}

# The databases mlflow and airflow are made by deploy/containers/databases.sql, run once as its user.
resource "aws_db_instance" "this" {
  region                    = var.region
  identifier                = var.name
  engine                    = "postgres"
  engine_version            = "15"
  instance_class            = var.database_class
  allocated_storage         = 20
  max_allocated_storage     = 200
  storage_encrypted         = true
  multi_az                  = true
  db_name                   = "meteo"
  username                  = "meteo"
  password                  = random_password.this["database"].result
  db_subnet_group_name      = aws_db_subnet_group.this.name
  vpc_security_group_ids    = [aws_security_group.stores.id]
  publicly_accessible       = false
  backup_retention_period   = 14
  backup_window             = "16:00-16:30"
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = "${var.name}-last"
}

resource "aws_elasticache_subnet_group" "this" {
  region     = var.region
  name       = var.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_elasticache_replication_group" "this" {
  region                     = var.region
  replication_group_id       = var.name
  description                = "Rates and queues of ${var.name}"
  engine                     = "redis"
  engine_version             = "7.1"
  node_type                  = var.redis_class
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  auth_token                 = random_password.this["redis"].result
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.stores.id]
}

# mlflow/ holds artifacts, dvc/ the versions of the training data. Nothing in it is ever public.
resource "aws_s3_bucket" "this" {
  region        = var.region
  bucket        = var.bucket
  force_destroy = !var.protected
}

resource "aws_s3_bucket_public_access_block" "this" {
  region                  = var.region
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  region = var.region
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  region     = var.region
  bucket     = aws_s3_bucket.this.id
  depends_on = [aws_s3_bucket_versioning.this]

  rule {
    id     = "old versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }
}

resource "aws_ecr_repository" "this" {
  for_each = var.images

  region               = var.region
  name                 = "${var.name}/${each.value}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.protected

  image_scanning_configuration {
    scan_on_push = true
  }
}

locals {
  server = aws_db_instance.this.endpoint
  owner  = "meteo:${random_password.this["database"].result}"
  # deploy/containers/databases.sql, run once as the owner, makes these roles with these passwords.
  role = { for name in ["gateway", "api_model", "jobs", "retention", "mlflow"] : name => "${name}:${random_password.this[name].result}" }
}

# What the chart's `secrets` name; External Secrets makes the Kubernetes Secret of it.
resource "aws_secretsmanager_secret" "this" {
  region                  = var.region
  name                    = var.name
  recovery_window_in_days = var.protected ? 7 : 0
}

resource "aws_secretsmanager_secret_version" "this" {
  region    = var.region
  secret_id = aws_secretsmanager_secret.this.id
  secret_string = jsonencode({
    METEO_SERVICE_SECRET          = random_password.this["service"].result
    METEO_GATEWAY__JWT_SECRET     = random_password.this["jwt"].result
    METEO_AIRFLOW__PASSWORD       = random_password.this["airflow"].result
    METEO_MODELS_SECRET       = random_password.this["models"].result
    METEO_MLFLOW__PASSWORD    = random_password.this["tracking"].result
    DATABASE_OWNER            = "postgresql+psycopg://${local.owner}@${local.server}/meteo?sslmode=require"
    DATABASE_GATEWAY          = "postgresql+psycopg://${local.role["gateway"]}@${local.server}/meteo?sslmode=require"
    DATABASE_API_MODEL        = "postgresql+psycopg://${local.role["api_model"]}@${local.server}/meteo?sslmode=require"
    DATABASE_JOBS             = "postgresql+psycopg://${local.role["jobs"]}@${local.server}/meteo?sslmode=require"
    DATABASE_RETENTION        = "postgresql+psycopg://${local.role["retention"]}@${local.server}/meteo?sslmode=require"
    METEO_GATEWAY__LIMITS         = "rediss://:${random_password.this["redis"].result}@${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0"
    MLFLOW_BACKEND_STORE_URI      = "postgresql+psycopg2://${local.role["mlflow"]}@${local.server}/mlflow?sslmode=require"
  })
}

locals {
  # Whose pods may do what.
  roles = {
    bucket = {
      namespace       = var.namespace
      service_account = "default"
      actions         = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      resources       = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
    }
    secrets = {
      namespace       = var.external_secrets.namespace
      service_account = var.external_secrets.service_account
      actions         = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      resources       = [aws_secretsmanager_secret.this.arn]
    }
  }
}

resource "aws_iam_role" "pods" {
  for_each = local.roles

  name = "${var.name}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "pods" {
  for_each = local.roles

  name = each.key
  role = aws_iam_role.pods[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = each.value.actions, Resource = each.value.resources }]
  })
}

resource "aws_eks_pod_identity_association" "pods" {
  for_each = local.roles

  region          = var.region
  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.pods[each.key].arn
}
