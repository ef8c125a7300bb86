-- Tables, views and macros that schema version 4 brought or changed, without comments.

CREATE TABLE IF NOT EXISTS document_vectors (
    corpus_id VARCHAR NOT NULL,
    doc_id    VARCHAR NOT NULL,
    vector    FLOAT[] NOT NULL
);
