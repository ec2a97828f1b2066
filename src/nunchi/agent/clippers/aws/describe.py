"""Describe and List calls: they know resources that were never tagged, which the tagging API does not.

One row a kind of resource says how it is called and how its items are read. Invariant: an item that cannot be read is left
out; a row that fails leaves the others alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.cloud.exchange import Resource

RESOURCES_MAX = 20_000  # of one kind

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What an ARN needs that items do not say."""

    partition: str
    region: str
    account_id: str

    def arn(self, service: str, rest: str) -> str:
        """The ARN of a resource of this place."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"


@dataclass(frozen=True, slots=True)
class Description:
    """One call. `items` finds them in an answer, `id` gives an item's ARN, `attributes` names fields worth keeping."""

    namespace: str
    service: str
    operation: str
    items: Callable[[Item], Iterable[Any]]
    id: Callable[[Place, Any], str]
    tokens: tuple[str, str] = ("NextToken", "NextToken")
    tags: str = "Tags"
    name: str = ""
    attributes: tuple[str, ...] = ()
    parameters: Callable[[Place], Mapping[str, Any]] = field(default=lambda _: {})
    keep: Callable[[Any], bool] = field(default=lambda _: True)


def instances(answer: Item) -> Iterable[Any]:
    """The instances of all reservations."""
    return (one for reservation in answer.get("Reservations", ()) for one in reservation.get("Instances", ()))


def listed(field_name: str) -> Callable[[Item], Iterable[Any]]:
    """The items of one field."""
    return lambda answer: answer.get(field_name) or ()


def written(field_name: str) -> Callable[[Place, Any], str]:
    """An ARN that stands in the item."""
    return lambda _, item: str(item[field_name])


MARKERS = ("Marker", "Marker")
ELB_MARKERS = ("Marker", "NextMarker")

DESCRIPTIONS = (
    Description(
        "AWS/EC2",
        "ec2",
        "describe_instances",
        instances,
        lambda place, one: place.arn("ec2", f"instance/{one['InstanceId']}"),
        attributes=("InstanceType", "PrivateIpAddress", "ImageId"),
    ),
    Description(
        "AWS/EBS",
        "ec2",
        "describe_volumes",
        listed("Volumes"),
        lambda place, one: place.arn("ec2", f"volume/{one['VolumeId']}"),
        attributes=("VolumeType", "Size", "State"),
    ),
    Description(
        "AWS/NATGateway",
        "ec2",
        "describe_nat_gateways",
        listed("NatGateways"),
        lambda place, one: place.arn("ec2", f"natgateway/{one['NatGatewayId']}"),
        attributes=("State", "VpcId"),
    ),
    Description(
        "AWS/RDS",
        "rds",
        "describe_db_instances",
        listed("DBInstances"),
        written("DBInstanceArn"),
        MARKERS,
        "TagList",
        "DBInstanceIdentifier",
        ("DBInstanceClass", "Engine", "EngineVersion", "AllocatedStorage"),
    ),
    Description(
        "AWS/RDS",
        "rds",
        "describe_db_clusters",
        listed("DBClusters"),
        written("DBClusterArn"),
        MARKERS,
        "TagList",
        "DBClusterIdentifier",
        ("Engine", "EngineVersion"),
    ),
    Description(
        "AWS/Lambda",
        "lambda",
        "list_functions",
        listed("Functions"),
        written("FunctionArn"),
        ELB_MARKERS,
        name="FunctionName",
        attributes=("Runtime", "MemorySize", "Timeout"),
    ),
    Description(
        "AWS/DynamoDB",
        "dynamodb",
        "list_tables",
        listed("TableNames"),
        lambda place, one: place.arn("dynamodb", f"table/{one}"),
        ("ExclusiveStartTableName", "LastEvaluatedTableName"),
    ),
    Description(
        "AWS/SQS",
        "sqs",
        "list_queues",
        listed("QueueUrls"),
        lambda place, one: place.arn("sqs", str(one).rpartition("/")[2]),
        parameters=lambda _: {"MaxResults": 1000},
    ),
    Description("AWS/SNS", "sns", "list_topics", listed("Topics"), written("TopicArn")),
    Description(
        "AWS/S3",
        "s3",
        "list_buckets",
        listed("Buckets"),
        lambda place, one: f"arn:{place.partition}:s3:::{one['Name']}",
        ("ContinuationToken", "ContinuationToken"),
        name="Name",
        parameters=lambda place: {"BucketRegion": place.region, "MaxBuckets": 1000},
    ),
    Description(
        "AWS/ELB",
        "elb",
        "describe_load_balancers",
        listed("LoadBalancerDescriptions"),
        lambda place, one: place.arn("elasticloadbalancing", f"loadbalancer/{one['LoadBalancerName']}"),
        ELB_MARKERS,
        name="LoadBalancerName",
        attributes=("Scheme",),
    ),
    Description(
        "AWS/ApplicationELB",
        "elbv2",
        "describe_load_balancers",
        listed("LoadBalancers"),
        written("LoadBalancerArn"),
        ELB_MARKERS,
        name="LoadBalancerName",
        attributes=("Scheme", "Type"),
        keep=lambda one: one.get("Type") == "application",
    ),
    Description(
        "AWS/ApplicationELB",
        "elbv2",
        "describe_target_groups",
        listed("TargetGroups"),
        written("TargetGroupArn"),
        ELB_MARKERS,
        name="TargetGroupName",
        attributes=("Protocol", "Port"),
    ),
    Description(
        "AWS/NetworkELB",
        "elbv2",
        "describe_load_balancers",
        listed("LoadBalancers"),
        written("LoadBalancerArn"),
        ELB_MARKERS,
        name="LoadBalancerName",
        attributes=("Scheme", "Type"),
        keep=lambda one: one.get("Type") == "network",
    ),
    Description(
        "AWS/ElastiCache",
        "elasticache",
        "describe_cache_clusters",
        listed("CacheClusters"),
        written("ARN"),
        MARKERS,
        name="CacheClusterId",
        attributes=("CacheNodeType", "Engine", "NumCacheNodes"),
    ),
    Description(
        "AWS/ECS", "ecs", "list_clusters", listed("clusterArns"), lambda _, one: str(one), ("nextToken", "nextToken")
    ),
    Description(
        "AWS/EFS",
        "efs",
        "describe_file_systems",
        listed("FileSystems"),
        written("FileSystemArn"),
        ELB_MARKERS,
        name="Name",
        attributes=("PerformanceMode",),
    ),
    Description(
        "AWS/Kafka",
        "kafka",
        "list_clusters_v2",
        listed("ClusterInfoList"),
        written("ClusterArn"),
        name="ClusterName",
        attributes=("ClusterType", "State"),
    ),
    Description(
        "AWS/Kinesis", "kinesis", "list_streams", listed("StreamSummaries"), written("StreamARN"), name="StreamName"
    ),
    Description(
        "AWS/EKS",
        "eks",
        "list_clusters",
        listed("clusters"),
        lambda place, one: place.arn("eks", f"cluster/{one}"),
        ("nextToken", "nextToken"),
    ),
)


async def describe(calls: AwsCalls, description: Description, place: Place) -> list[Resource]:
    """The resources of one kind. Raises CloudError."""
    found: list[Resource] = []
    parameters = dict(description.parameters(place))
    async for answer in calls.pages(description.service, description.operation, *description.tokens, **parameters):
        found += [read_item(description, item, place) for item in description.items(answer) if description.keep(item)]
        if len(found) > RESOURCES_MAX:
            raise CloudError(
                Kind.INVALID, f"{description.service} in {place.region}: more than {RESOURCES_MAX} resources"
            )
    return found


def read_item(description: Description, item: Any, place: Place) -> Resource:
    """One item as a resource."""
    resource_id = description.id(place, item)
    tags: dict[str, str] = {}
    attributes: dict[str, str] = {}
    name = ""
    if isinstance(item, dict):
        tags = read_tags(item.get(description.tags))
        name = str(item.get(description.name, ""))
        attributes = {field: str(item[field]) for field in description.attributes if item.get(field) is not None}
    name = name or tags.get("Name", "") or resource_id.rpartition(":")[2].rpartition("/")[2]
    return Resource(resource_id, description.namespace, name, tags, attributes)


def read_tags(found: Any) -> dict[str, str]:
    """Tags in either of the two ways in which AWS writes them."""
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    return {str(pair["Key"]): str(pair.get("Value", "")) for pair in found or () if "Key" in pair}
