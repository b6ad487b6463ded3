-- Run by the PostgreSQL image when its volume is empty; the product's own database is there already.
CREATE DATABASE airflow;
CREATE DATABASE mlflow;
