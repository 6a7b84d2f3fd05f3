// The policy of our pages allows no styles made by scripts; Video.js asks for this before it is loaded.
window.VIDEOJS_NO_DYNAMIC_STYLE = true;
