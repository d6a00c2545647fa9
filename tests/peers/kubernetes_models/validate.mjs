// Read Kubernetes objects as JSON from standard input; print what is wrong with each, by the schemas of its kind.
import {ExternalSecret, SecretStore} from '@kubernetes-models/external-secrets/external-secrets.io/v1beta1';
import {Pod} from 'kubernetes-models/v1';

const models = {ExternalSecret, SecretStore, Pod};
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const wrong = [];
for (const object of JSON.parse(Buffer.concat(chunks))) {
  const Model = models[object.kind];
  if (!Model) continue;
  try {
    new Model(object).validate();
  } catch (fault) {
    wrong.push(`${object.kind}: ${fault.message}`);
  }
}
console.log(JSON.stringify(wrong));
