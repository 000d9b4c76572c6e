// Loads an artifact as a local model and answers the cases: node classify.mjs DIRECTORY CASES [DTYPE]
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

import { env, pipeline } from '@huggingface/transformers';

const [directory, cases, dtype] = process.argv.slice(2);
const { texts, pairs } = JSON.parse(readFileSync(cases, 'utf8'));

env.allowRemoteModels = false;
env.useFSCache = false;
env.localModelPath = dirname(directory);

const options = dtype ? { dtype } : {};
const classify = await pipeline('text-classification', basename(directory), options);

async function logits(rows, partners) {
  // Only tokenizers with a class of their own make token_type_ids unasked; a pair needs them.
  const inputs = classify.tokenizer(rows, {
    text_pair: partners,
    padding: true,
    return_token_type_ids: true,
  });
  const answer = await classify.model(inputs);
  return answer.logits.tolist();
}

const answers = {
  versions: { '@huggingface/transformers': env.version, node: process.versions.node },
  scores: await classify(texts, { top_k: null }),
  logits: await logits(texts, null),
  pairs: await logits(pairs.map(([first]) => first), pairs.map(([, second]) => second)),
};
console.log(JSON.stringify(answers));
