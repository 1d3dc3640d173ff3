/** The person's own microphone and camera. */

export const NONE = "none";

/** Asks for what was chosen, then for less; never throws. Gives {stream, problem}; the problem names a string of `strings.status`. */
export async function capture(microphone, camera) {
  const audio = microphone !== NONE && { ...(microphone && { deviceId: { exact: microphone } }), echoCancellation: true };
  const video = camera !== NONE && { ...(camera && { deviceId: { exact: camera } }), width: { ideal: 640 }, height: { ideal: 360 } };
  if (!audio && !video) return { stream: new MediaStream(), problem: null };
  if (!navigator.mediaDevices) return { stream: new MediaStream(), problem: "insecure" };
  let reason = null;
  for (const wish of [{ audio, video }, { audio, video: false }, { audio: false, video }]) {
    if (!wish.audio && !wish.video) continue;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wish);
      return { stream, problem: audio && !wish.audio ? "noMicrophone" : null };
    } catch (error) {
      reason = error;
    }
  }
  return { stream: new MediaStream(), problem: reason.name === "NotAllowedError" ? "denied" : "noDevices" };
}

/** The devices of a kind that have names; browsers name them only once the person has allowed one. */
export async function devices(kind) {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === kind && device.deviceId && device.label);
}

export function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
