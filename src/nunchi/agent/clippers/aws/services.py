"""AWS's services, one row each: everything that is known of a namespace stands in one place.

Services that are not here have their metrics collected all the same; their series have no resource.
"""

from typing import Final

from nunchi.agent.clippers.aws.service import (
    LOWER_TOKENS,
    MARKERS,
    NEXT_MARKERS,
    Description,
    call,
    instances,
    listed,
    made,
    service,
    written,
)

BALANCERS = call("elbv2", "describe_load_balancers", NEXT_MARKERS)
TARGET_GROUPS = Description(
    call("elbv2", "describe_target_groups", NEXT_MARKERS), listed("TargetGroups"), written("TargetGroupArn"),
    name="TargetGroupName", attributes=("Protocol", "Port"),
)  # fmt: skip


def balancers(kind: str) -> Description:
    """The load balancers of one kind; all kinds are answered by one call."""
    return Description(
        BALANCERS, listed("LoadBalancers"), written("LoadBalancerArn"), name="LoadBalancerName",
        attributes=("Scheme", "Type"), keep=lambda one: one.get("Type") == kind,
    )  # fmt: skip


SERVICES: Final = (
    service("AWS/ApiGateway", "apigateway", ("ApiId", r"/apis/([^/]+)$")),
    service(
        "AWS/ApplicationELB", "elasticloadbalancing:loadbalancer/app,elasticloadbalancing:targetgroup",
        ("TargetGroup", r":(targetgroup/[^:]+)$"), ("LoadBalancer", r":loadbalancer/(app/[^:]+)$"),
        described=(
            balancers("application"), TARGET_GROUPS,
        ),
    ),
    service("AWS/AppSync", "appsync", ("GraphQLAPIId", r":apis/([^/]+)$")),
    service("AWS/Athena", "athena", ("WorkGroup", r":workgroup/([^/]+)$")),
    service("AWS/AutoScaling", "autoscaling:autoScalingGroup", ("AutoScalingGroupName", r"autoScalingGroupName/(.+)$")),
    service("AWS/Backup", "backup", ("BackupVaultName", r":backup-vault:([^:]+)$")),
    service("AWS/CertificateManager", "acm:certificate", ("CertificateArn", r"^(.+)$")),
    service("AWS/CloudFront", "cloudfront:distribution", ("DistributionId", r":distribution/([^/]+)$")),
    service("AWS/Cognito", "cognito-idp:userpool", ("UserPool", r":userpool/([^/]+)$")),
    service("AWS/DMS", "dms", ("ReplicationInstanceIdentifier", r":rep:([^:]+)$")),
    service(
        "AWS/DocDB", "rds:db,rds:cluster",
        ("DBInstanceIdentifier", r":db:([^:]+)$"), ("DBClusterIdentifier", r":cluster:([^:]+)$"),
    ),
    service("AWS/DX", "directconnect", ("ConnectionId", r":dxcon/([^/]+)$")),
    service(
        "AWS/DynamoDB", "dynamodb:table", ("TableName", r":table/([^/]+)$"),
        described=(
            Description(
                call("dynamodb", "list_tables", ("ExclusiveStartTableName", "LastEvaluatedTableName")), listed("TableNames"),
                made("dynamodb", "table/{}"),
            ),
        ),
    ),
    service(
        "AWS/EBS", "ec2:volume", ("VolumeId", r":volume/([^/]+)$"),
        described=(
            Description(
                call("ec2", "describe_volumes"), listed("Volumes"), made("ec2", "volume/{VolumeId}"),
                attributes=("VolumeType", "Size", "State"),
            ),
        ),
    ),
    service(
        "AWS/EC2", "ec2:instance", ("InstanceId", r":instance/([^/]+)$"),
        described=(
            Description(
                call("ec2", "describe_instances"), instances, made("ec2", "instance/{InstanceId}"),
                attributes=("InstanceType", "PrivateIpAddress", "ImageId"),
            ),
        ),
    ),
    service(
        "AWS/ECS", "ecs:cluster,ecs:service",
        ("ClusterName,ServiceName", r":service/([^/]+)/([^/]+)$"), ("ClusterName", r":cluster/([^/]+)$"),
        described=(
            Description(call("ecs", "list_clusters", LOWER_TOKENS), listed("clusterArns"), lambda _, arn: str(arn)),
        ),
    ),
    service(
        "AWS/EFS", "elasticfilesystem:file-system", ("FileSystemId", r":file-system/([^/]+)$"),
        described=(
            Description(
                call("efs", "describe_file_systems", NEXT_MARKERS), listed("FileSystems"), written("FileSystemArn"),
                name="Name", attributes=("PerformanceMode",),
            ),
        ),
    ),
    service(
        "AWS/EKS", "eks:cluster", ("ClusterName", r":cluster/([^/]+)$"),
        described=(
            Description(call("eks", "list_clusters", LOWER_TOKENS), listed("clusters"), made("eks", "cluster/{}")),
        ),
    ),
    service(
        "AWS/ELB", "elasticloadbalancing:loadbalancer", ("LoadBalancerName", r":loadbalancer/([^/]+)$"),
        described=(
            Description(
                call("elb", "describe_load_balancers", NEXT_MARKERS), listed("LoadBalancerDescriptions"),
                made("elasticloadbalancing", "loadbalancer/{LoadBalancerName}"), name="LoadBalancerName",
                attributes=("Scheme",),
            ),
        ),
    ),
    service("AWS/ES", "es:domain", ("DomainName", r":domain/([^/]+)$")),
    service(
        "AWS/ElastiCache", "elasticache:cluster", ("CacheClusterId", r":cluster:([^:]+)$"),
        described=(
            Description(
                call("elasticache", "describe_cache_clusters", MARKERS), listed("CacheClusters"), written("ARN"),
                name="CacheClusterId", attributes=("CacheNodeType", "Engine", "NumCacheNodes"),
            ),
        ),
    ),
    service("AWS/ElasticBeanstalk", "elasticbeanstalk:environment", ("EnvironmentName", r":environment/[^/]+/([^/]+)$")),
    service("AWS/ElasticMapReduce", "elasticmapreduce:cluster", ("JobFlowId", r":cluster/([^/]+)$")),
    service("AWS/Events", "events", ("RuleName", r":rule/([^/]+)$")),
    service("AWS/FSx", "fsx:file-system", ("FileSystemId", r":file-system/([^/]+)$")),
    service("AWS/Firehose", "firehose", ("DeliveryStreamName", r":deliverystream/([^/]+)$")),
    service(
        "AWS/Kafka", "kafka:cluster", ("Cluster Name", r":cluster/([^/]+)/"),
        described=(
            Description(
                call("kafka", "list_clusters_v2"), listed("ClusterInfoList"), written("ClusterArn"), name="ClusterName",
                attributes=("ClusterType", "State"),
            ),
        ),
    ),
    service(
        "AWS/Kinesis", "kinesis:stream", ("StreamName", r":stream/([^/]+)$"),
        described=(
            Description(
                call("kinesis", "list_streams"), listed("StreamSummaries"), written("StreamARN"), name="StreamName",
            ),
        ),
    ),
    service(
        "AWS/Lambda", "lambda:function", ("FunctionName", r":function:([^:]+)$"),
        described=(
            Description(
                call("lambda", "list_functions", NEXT_MARKERS), listed("Functions"), written("FunctionArn"),
                name="FunctionName", attributes=("Runtime", "MemorySize", "Timeout"),
            ),
        ),
    ),
    service("AWS/Logs", "logs:log-group", ("LogGroupName", r":log-group:([^:]+)")),
    service(
        "AWS/NATGateway", "ec2:natgateway", ("NatGatewayId", r":natgateway/([^/]+)$"),
        described=(
            Description(
                call("ec2", "describe_nat_gateways"), listed("NatGateways"), made("ec2", "natgateway/{NatGatewayId}"),
                attributes=("State", "VpcId"),
            ),
        ),
    ),
    service(
        "AWS/NetworkELB", "elasticloadbalancing:loadbalancer/net,elasticloadbalancing:targetgroup",
        ("TargetGroup", r":(targetgroup/[^:]+)$"), ("LoadBalancer", r":loadbalancer/(net/[^:]+)$"),
        described=(
            balancers("network"),
        ),
    ),
    service(
        "AWS/RDS", "rds:db,rds:cluster",
        ("DBInstanceIdentifier", r":db:([^:]+)$"), ("DBClusterIdentifier", r":cluster:([^:]+)$"),
        described=(
            Description(
                call("rds", "describe_db_instances", MARKERS), listed("DBInstances"), written("DBInstanceArn"),
                "TagList", "DBInstanceIdentifier", ("DBInstanceClass", "Engine", "EngineVersion", "AllocatedStorage"),
            ),
            Description(
                call("rds", "describe_db_clusters", MARKERS), listed("DBClusters"), written("DBClusterArn"),
                "TagList", "DBClusterIdentifier", ("Engine", "EngineVersion"),
            ),
        ),
    ),
    service("AWS/Redshift", "redshift:cluster", ("ClusterIdentifier", r":cluster:([^:]+)$")),
    service("AWS/Route53", "route53", ("HealthCheckId", r":healthcheck/([^/]+)$")),
    service(
        "AWS/S3", "s3", ("BucketName", r":::([^:/]+)$"),
        described=(
            Description(
                call("s3", "list_buckets", ("ContinuationToken", "ContinuationToken"), "BucketRegion", MaxBuckets=1000),
                listed("Buckets"), lambda place, one: f"arn:{place.partition}:s3:::{one['Name']}", name="Name",
            ),
        ),
    ),
    service("AWS/SES", "ses:identity", ("Identity", r":identity/([^/]+)$")),
    service(
        "AWS/SNS", "sns", ("TopicName", r":sns:[^:]*:[0-9]*:([^:]+)$"),
        described=(
            Description(call("sns", "list_topics"), listed("Topics"), written("TopicArn")),
        ),
    ),
    service(
        "AWS/SQS", "sqs", ("QueueName", r":([^:]+)$"),
        described=(
            Description(
                call("sqs", "list_queues", MaxResults=1000), listed("QueueUrls"),
                lambda place, url: place.arn("sqs", str(url).rpartition("/")[2]),
            ),
        ),
    ),
    service("AWS/StorageGateway", "storagegateway", ("GatewayId", r":gateway/([^/]+)$")),
    service("AWS/States", "states", ("StateMachineArn", r"^(.+:stateMachine:.+)$")),
    service("AWS/TransitGateway", "ec2:transit-gateway", ("TransitGateway", r":transit-gateway/([^/]+)$")),
    service("AWS/VPN", "ec2:vpn-connection", ("VpnId", r":vpn-connection/([^/]+)$")),
    service("AWS/WAFV2", "wafv2", ("WebACL", r"/webacl/([^/]+)/")),
)  # fmt: skip
BY_NAMESPACE: Final = {one.namespace: one for one in SERVICES}
