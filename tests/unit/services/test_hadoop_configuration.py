from __future__ import annotations

from pathlib import Path

from services.hadoop.configuration import (
    PORTS,
    core_site,
    datanode_options,
    hdfs_site,
    read_property,
    write_configuration,
    yarn_site,
)

NUMBERS = {name: 20_000 + number for number, name in enumerate(PORTS)}


def test_clients_find_the_file_system(tmp_path: Path) -> None:
    write_configuration(tmp_path / "conf", data=tmp_path / "data & more", ports=NUMBERS)
    names = {file.name for file in (tmp_path / "conf").iterdir()}
    assert names == {"core-site.xml", "hdfs-site.xml", "yarn-site.xml", "capacity-scheduler.xml"}
    core = tmp_path / "conf" / "core-site.xml"
    assert read_property(core, "fs.defaultFS") == f"hdfs://127.0.0.1:{NUMBERS['namenode-rpc']}"
    assert read_property(core, "hadoop.tmp.dir") == str(tmp_path / "data & more" / "tmp")
    assert read_property(core, "fs.nothing") is None


def test_every_port_is_set_once(tmp_path: Path) -> None:
    said = [*core_site(tmp_path, NUMBERS).values(), *hdfs_site(tmp_path, NUMBERS).values()]
    said += yarn_site(tmp_path, NUMBERS).values()
    said += [option for number in (1, 2) for option in datanode_options(number, data=tmp_path, ports=NUMBERS)]
    found = sorted(number for number in NUMBERS.values() for text in said if str(text).endswith(f"127.0.0.1:{number}"))
    assert found == sorted(NUMBERS.values())
