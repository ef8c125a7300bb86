-- Tables, views and macros that schema version 2 brought or changed, without comments.

CREATE TABLE IF NOT EXISTS synthetic_documents (
    request_key VARCHAR,
    doc_id      VARCHAR,
    corpus_id   VARCHAR NOT NULL,
    generator   VARCHAR NOT NULL,
    params      JSON,
    seed        BIGINT,
    model_id    VARCHAR,
    made_from   VARCHAR,
    label       VARCHAR NOT NULL,
    created_at  TIMESTAMP,
    PRIMARY KEY (request_key, doc_id)
);

CREATE OR REPLACE VIEW synthetic AS
SELECT corpora.name AS corpus, made.generator, made.params, made.seed, made.model_id,
       asked.subset_id, chosen.position, made.label, documents.tokens, documents.text,
       made.made_from, made.doc_id, made.created_at
FROM synthetic_documents AS made
JOIN subset_requests AS asked ON asked.request_key = made.request_key
JOIN subset_documents AS chosen
  ON chosen.subset_id = asked.subset_id AND chosen.doc_id = made.doc_id
LEFT JOIN corpora ON corpora.corpus_id = made.corpus_id
LEFT JOIN documents
       ON documents.corpus_id = made.corpus_id AND documents.doc_id = made.doc_id
      AND documents.split = 'synthetic'
ORDER BY corpus, made.generator, made.seed, asked.size, made.request_key, chosen.position;
