// Rolls back what failed: for each Deployment that ends as `failed` it makes one that deploys the last good version again.
//
//     KUBECONFIG=... node bot.js
//
// Its Deployment has a name that follows from the failed one, so however often the bot is started, each failure is answered once; and
// a rollback that fails is left to a person.
import { DEPLOYMENTS, type Deployment, StatusError } from "@otternauts/client";
import { fromKubeconfig } from "@otternauts/client/node";

const deployments = fromKubeconfig().resource(DEPLOYMENTS);
/** Every Deployment that is there, by its name. */
const known = new Map<string, Deployment>();

/** It ran: it was not only begun and then overtaken by another. */
function ran({ status }: Deployment): boolean {
  if (status?.phase === "succeeded") return true;
  return status?.phase === "superseded" && (status.steps ?? []).some(({ name, state }) => name === "converge" && state === "Done");
}

/** The newest version of the same stack, before this one, that ran. What is itself a rollback has a number, but nothing of its own. */
function lastGood(failed: Deployment): number | undefined {
  const before = failed.spec.version ?? Number.POSITIVE_INFINITY;
  const versions = [...known.values()]
    .filter((other) => other.spec.stackRef.name === failed.spec.stackRef.name && other.spec.rollbackTo === undefined && ran(other))
    .map((other) => other.spec.version ?? 0)
    .filter((version) => version > 0 && version < before);
  return versions.length === 0 ? undefined : Math.max(...versions);
}

async function answer(failed: Deployment): Promise<void> {
  const name = failed.metadata?.name ?? "";
  const stack = failed.spec.stackRef.name;
  const rollbackTo = lastGood(failed);
  if (rollbackTo === undefined) {
    console.log(`${name} failed, and ${stack} has no good version to go back to`);
    return;
  }
  try {
    await deployments.create({
      metadata: { name: `${name}-undo`, labels: failed.metadata?.labels ?? {} },
      spec: { stackRef: { name: stack }, trigger: "rollback", rollbackTo },
    });
    console.log(`${name} failed: ${stack} goes back to version ${rollbackTo}`);
  } catch (error) {
    if (!StatusError.is(error, "AlreadyExists")) throw error;
  }
}

// Everything first: what failed while nobody looked is judged by all that is there, in whatever order the watch begins.
for await (const object of deployments.all()) known.set(object.metadata?.name ?? "", object);
for await (const { type, object } of deployments.watch()) {
  const name = object.metadata?.name ?? "";
  if (type === "DELETED") known.delete(name);
  else known.set(name, object);
  const isRollback = object.spec.trigger === "rollback" || object.spec.rollbackTo !== undefined;
  if (type !== "DELETED" && object.status?.phase === "failed" && !isRollback) await answer(object);
}
