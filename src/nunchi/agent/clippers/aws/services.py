"""What is known of AWS's services: which resources a namespace's metrics are about, and how dimensions name them.

A dimension set belongs to the resource that the largest of its service's patterns names. Services that are not here have
their metrics collected all the same; their series have no resource.
Invariant: pure; a pattern's dimensions stand in the order of its groups.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nunchi.agent.cloud.exchange import Dimensions, Resource


@dataclass(frozen=True, slots=True)
class Service:
    """`filters`: what the tagging API calls its resources. `patterns`: dimensions, and where they stand in an ARN."""

    namespace: str
    filters: tuple[str, ...]
    patterns: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]


def service(namespace: str, filters: str, *patterns: tuple[str, str]) -> Service:
    """A service; names in the texts are separated by commas."""
    return Service(
        namespace,
        tuple(filters.split(",")),
        tuple((tuple(names.split(",")), re.compile(pattern)) for names, pattern in patterns),
    )


SERVICES = (
    service("AWS/ApiGateway", "apigateway", ("ApiId", r"/apis/([^/]+)$")),
    service(
        "AWS/ApplicationELB", "elasticloadbalancing:loadbalancer/app,elasticloadbalancing:targetgroup",
        ("TargetGroup", r":(targetgroup/[^:]+)$"), ("LoadBalancer", r":loadbalancer/(app/[^:]+)$"),
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
    service("AWS/DynamoDB", "dynamodb:table", ("TableName", r":table/([^/]+)$")),
    service("AWS/EBS", "ec2:volume", ("VolumeId", r":volume/([^/]+)$")),
    service("AWS/EC2", "ec2:instance", ("InstanceId", r":instance/([^/]+)$")),
    service(
        "AWS/ECS", "ecs:cluster,ecs:service",
        ("ClusterName,ServiceName", r":service/([^/]+)/([^/]+)$"), ("ClusterName", r":cluster/([^/]+)$"),
    ),
    service("AWS/EFS", "elasticfilesystem:file-system", ("FileSystemId", r":file-system/([^/]+)$")),
    service("AWS/EKS", "eks:cluster", ("ClusterName", r":cluster/([^/]+)$")),
    service("AWS/ELB", "elasticloadbalancing:loadbalancer", ("LoadBalancerName", r":loadbalancer/([^/]+)$")),
    service("AWS/ES", "es:domain", ("DomainName", r":domain/([^/]+)$")),
    service("AWS/ElastiCache", "elasticache:cluster", ("CacheClusterId", r":cluster:([^:]+)$")),
    service("AWS/ElasticBeanstalk", "elasticbeanstalk:environment", ("EnvironmentName", r":environment/[^/]+/([^/]+)$")),
    service("AWS/ElasticMapReduce", "elasticmapreduce:cluster", ("JobFlowId", r":cluster/([^/]+)$")),
    service("AWS/Events", "events", ("RuleName", r":rule/([^/]+)$")),
    service("AWS/FSx", "fsx:file-system", ("FileSystemId", r":file-system/([^/]+)$")),
    service("AWS/Firehose", "firehose", ("DeliveryStreamName", r":deliverystream/([^/]+)$")),
    service("AWS/Kafka", "kafka:cluster", ("Cluster Name", r":cluster/([^/]+)/")),
    service("AWS/Kinesis", "kinesis:stream", ("StreamName", r":stream/([^/]+)$")),
    service("AWS/Lambda", "lambda:function", ("FunctionName", r":function:([^:]+)$")),
    service("AWS/Logs", "logs:log-group", ("LogGroupName", r":log-group:([^:]+)")),
    service("AWS/NATGateway", "ec2:natgateway", ("NatGatewayId", r":natgateway/([^/]+)$")),
    service(
        "AWS/NetworkELB", "elasticloadbalancing:loadbalancer/net,elasticloadbalancing:targetgroup",
        ("TargetGroup", r":(targetgroup/[^:]+)$"), ("LoadBalancer", r":loadbalancer/(net/[^:]+)$"),
    ),
    service(
        "AWS/RDS", "rds:db,rds:cluster",
        ("DBInstanceIdentifier", r":db:([^:]+)$"), ("DBClusterIdentifier", r":cluster:([^:]+)$"),
    ),
    service("AWS/Redshift", "redshift:cluster", ("ClusterIdentifier", r":cluster:([^:]+)$")),
    service("AWS/Route53", "route53", ("HealthCheckId", r":healthcheck/([^/]+)$")),
    service("AWS/S3", "s3", ("BucketName", r":::([^:/]+)$")),
    service("AWS/SES", "ses:identity", ("Identity", r":identity/([^/]+)$")),
    service("AWS/SNS", "sns", ("TopicName", r":sns:[^:]*:[0-9]*:([^:]+)$")),
    service("AWS/SQS", "sqs", ("QueueName", r":([^:]+)$")),
    service("AWS/StorageGateway", "storagegateway", ("GatewayId", r":gateway/([^/]+)$")),
    service("AWS/States", "states", ("StateMachineArn", r"^(.+:stateMachine:.+)$")),
    service("AWS/TransitGateway", "ec2:transit-gateway", ("TransitGateway", r":transit-gateway/([^/]+)$")),
    service("AWS/VPN", "ec2:vpn-connection", ("VpnId", r":vpn-connection/([^/]+)$")),
    service("AWS/WAFV2", "wafv2", ("WebACL", r"/webacl/([^/]+)/")),
)  # fmt: skip
BY_NAMESPACE = {one.namespace: one for one in SERVICES}


def namespace_of(arn: str, wanted: Iterable[str]) -> str:
    """Which of the wanted namespaces a resource belongs to; empty where it belongs to none."""
    parts = arn.split(":", 5)
    for namespace in wanted:
        known = BY_NAMESPACE.get(namespace)
        if known is None or len(parts) < 6:
            continue
        is_kind = any(one.partition(":")[0] == parts[2] for one in known.filters)
        if is_kind and any(pattern.search(arn) for _, pattern in known.patterns):
            return namespace
    return ""


class Association:
    """Finds the resource that a dimension set is about."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources: dict[tuple[str, Dimensions], Resource] = {}
        for resource in resources:
            known = BY_NAMESPACE.get(resource.namespace)
            for names, pattern in known.patterns if known else ():
                match = pattern.search(resource.id)
                if match:
                    dimensions = tuple(sorted(zip(names, match.groups(), strict=True)))
                    self._resources[resource.namespace, dimensions] = resource

    def find(self, namespace: str, dimensions: Dimensions) -> Resource | None:
        """The resource, by the largest pattern whose dimensions are all there."""
        known = BY_NAMESPACE.get(namespace)
        own = dict(dimensions)
        for names, _ in sorted(known.patterns, key=lambda one: -len(one[0])) if known else ():
            if all(name in own for name in names):
                found = self._resources.get((namespace, tuple(sorted((name, own[name]) for name in names))))
                if found is not None:
                    return found
        return None
