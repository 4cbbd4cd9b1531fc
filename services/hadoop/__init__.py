"""HDFS and YARN: a NameNode, two DataNodes, a ResourceManager and a NodeManager, each a process of its own."""
