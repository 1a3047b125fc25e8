"""Reads a file of metrics as Prometheus does, and as strictly as OpenMetrics asks for."""
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as plain

text = open(sys.argv[1]).read()
# What OpenMetrics adds to the older format is an end.
families = {family.name: family for family in strict(text + "# EOF\n")}
assert {family.name for family in plain(text)} == set(families)
for name, family in families.items():
    assert name.startswith("freehold_"), name
    assert family.type == "gauge" and family.documentation, family
    labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
    assert len(labels) == len(set(labels)), f"{name} says one thing twice"
    for sample in family.samples:
        assert sample.value >= 0 and set(sample.labels) <= {"plane", "node", "bucket", "of", "id"}, sample
one = {name: family.samples[0].value for name, family in families.items() if len(family.samples) == 1}
assert one["freehold_disk_free_bytes"] > 0 and one["freehold_log_operations"] > 0, one
assert max(sample.value for sample in families["freehold_bucket_objects"].samples) == 1
assert max(sample.value for sample in families["freehold_bucket_bytes"].samples) == 1000
# Nobody has asked for these.
off = {"proxies", "phones"}
running = {sample.labels["plane"]: sample.value for sample in families["freehold_plane_running"].samples}
assert running and all(value == 1 for value in running.values()) and not off & set(running), running
# Names are nobody's business who reads metrics.
assert "box" not in text, text
print("all as expected")
