// What the views of a run answer to: the wipe, the frames of a video, and the buttons of a gallery. Listens to the
// component itself, whose content changes with every run.
const video_of = (control) => control.closest("figure").querySelector("video");
const show_frame = (video, frame) => {
  const slider = video.closest("figure").querySelector("[data-frame]");
  slider.value = frame;
  slider.parentElement.querySelector("output").value = frame;
};
element.addEventListener("input", (event) => {
  const control = event.target;
  if (control.matches("[data-wipe]")) {
    control.closest("figure").querySelector(".sm-wipe").style.setProperty("--cut", `${100 - control.value}%`);
  }
  if (control.matches("[data-frame]")) {
    const video = video_of(control);
    video.pause();
    // The middle of the frame: its beginning may still show the one before.
    video.currentTime = (Number(control.value) - 0.5) / Number(video.dataset.fps);
    show_frame(video, control.value);
  }
});
element.addEventListener("timeupdate", (event) => {
  const video = event.target;
  if (!video.paused) show_frame(video, Math.floor(video.currentTime * Number(video.dataset.fps)) + 1);
}, true);
element.addEventListener("click", (event) => {
  const play = event.target.closest("[data-play]");
  if (play) {
    const video = video_of(play);
    if (video.paused) video.play(); else video.pause();
  }
  const chosen = event.target.closest("[data-run]");
  if (chosen) trigger("click", { run: chosen.dataset.run, act: chosen.dataset.act || "show" });
});
// Who asked their system for less motion starts a video by hand.
if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
  element.addEventListener("loadeddata", (event) => event.target.pause(), true);
}
