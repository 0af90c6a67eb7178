"""The camera of a photo: where it stands and where a point of the head falls in the picture."""
import numpy as np


class Camera:
    def __init__(self, shot, middle, eye_distance):
        """middle: the face's, in decimetres. axes: rows right, up, backwards (towards the photographer)."""
        self.side, self.focal = shot.side, shot.focal / 36
        azimuth, elevation = -shot.yaw, shot.pitch
        back = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
        right = np.cross([0, 1, 0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        c, s = np.cos(shot.roll), np.sin(shot.roll)
        self.axes = np.stack([c * right + s * up, c * up - s * right, back])
        width = shot.frame * eye_distance  # what the frame shows at the face
        offset = np.array(shot.centre) @ self.axes[:2] * width
        self.middle = np.asarray(middle)
        self.position = self.middle + offset + back * width * self.focal

    def project(self, points):
        """N×3 → N×2 pixels, x to the right and y down, the first pixel's centre at (0, 0)."""
        right, up, back = self.axes @ (np.asarray(points) - self.position).T
        scale = self.side * self.focal / -back
        return np.stack([self.side / 2 + right * scale, self.side / 2 - up * scale], 1) - 0.5
