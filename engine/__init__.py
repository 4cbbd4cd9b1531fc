"""The core of Foretable. It knows no Spark, Kafka, HTTP or cluster, and loads neither TensorFlow nor pyspark."""
