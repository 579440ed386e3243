"""The dashboards as code: ``python -m grafana.source.build`` writes ``grafana/dashboards/*.json`` from them."""
