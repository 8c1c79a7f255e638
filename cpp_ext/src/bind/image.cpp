#include <utility>

#include "bind.h"
#include "buffer_view.h"
#include "color_job.h"
#include "image_job.h"
#include "memory_checks.h"
#include "release.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

bool is(std::size_t extent, int expected) {
    return extent == static_cast<std::size_t>(expected);
}

/// How images of one size go into tensors of one kind: all that need not be looked at for each of them.
class ImagePlan {
  public:
    ImagePlan(std::int64_t image_height, std::int64_t image_width, int image_channels,
              std::int64_t canvas_height, std::int64_t canvas_width, Table table, Table pad,
              std::int64_t resized_height, std::int64_t resized_width, std::int64_t offset_y,
              std::int64_t offset_x, int filter, int order_0, int order_1, int order_2, bool to_gray,
              bool nhwc)
        : table_(std::move(table)),
          pad_(std::move(pad)),
          nhwc_(nhwc),
          job_(make_job(image_channels, table_, pad_,
                        {resized_height,
                         resized_width,
                         offset_y,
                         offset_x,
                         filter,
                         {order_0, order_1, order_2},
                         to_gray})) {
        require_aligned(table_, pad_);
        job_.image.height = image_side(image_height, "image height out of range");
        job_.image.width = image_side(image_width, "image width out of range");
        job_.image.channels = image_channels;
        job_.out.height = image_side(canvas_height, "canvas height out of range");
        job_.out.width = image_side(canvas_width, "canvas width out of range");
        pixels_ = static_cast<std::size_t>(std::int64_t{job_.image.height} * job_.image.width +
                                           std::int64_t{job_.out.height} * job_.out.width);
    }

    /// False, with nothing written, unless these are arrays as the plan has them, apart in memory.
    bool write(nb::handle image_object, nb::handle out_object) const {
        BufferView image;
        BufferView out;
        ImageJob job = job_;
        if (!take(image_object, false, &image) || !take(out_object, true, &out)) return false;
        if (!set_image(image, &job.image) || !set_out(out, &job.out) || !are_apart(out, image)) return false;
        const ReleaseIfLong released(pixels_);
        run_job(job);
        return true;
    }

    /// The same for a frame's planes, whose size is the plan's.
    bool write_yuv(const Plane& y, const Plane& u, const Plane& v, int luma_offset, int luma, int red_v,
                   int green_u, int green_v, int blue_u, nb::handle out_object) const {
        const YuvFrame frame = view_frame(y, u, v, luma_offset, luma, red_v, green_u, green_v, blue_u);
        BufferView out;
        ImageJob job = job_;
        if (!take(out_object, true, &out) || !set_out(out, &job.out)) return false;
        if (!is(y.shape(0), job.image.height) || !is(y.shape(1), job.image.width) ||
            job.image.channels != 3 || !are_apart(out, y, u, v)) {
            return false;
        }
        job.yuv = &frame;
        job.image = yuv_image(frame);
        nb::gil_scoped_release release;
        run_job(job);
        return true;
    }

  private:
    Table table_, pad_;
    bool nhwc_;
    std::size_t pixels_ = 0;  // of image and canvas
    nb::object array_type_ = nb::module_::import_("numpy").attr("ndarray");
    ImageJob job_;  // all but the arrays' addresses and strides

    /// Nothing but NumPy's arrays: whoever reads the code above this expects what they are.
    bool take(nb::handle object, bool to_write, BufferView* view) const {
        return nb::isinstance(object, array_type_) && view->open(object.ptr(), to_write);
    }

    static bool set_image(const BufferView& image, ImageView* view) {
        if (image.element() != 'B') return false;
        const bool planar = image.ndim() == 2;
        if (planar ? view->channels != 1 : image.ndim() != 3 || !is(image.shape(2), view->channels))
            return false;
        view->data = static_cast<const std::uint8_t*>(image.data());
        view->row_stride = static_cast<std::ptrdiff_t>(image.stride(0));
        view->pixel_stride = static_cast<std::ptrdiff_t>(image.stride(1));
        view->channel_stride = planar ? 0 : static_cast<std::ptrdiff_t>(image.stride(2));
        return is(image.shape(0), view->height) && is(image.shape(1), view->width);
    }

    bool set_out(const BufferView& out, TensorView* view) const {
        const std::size_t c = nhwc_ ? 2 : 0;
        const std::size_t y = nhwc_ ? 0 : 1;
        const std::size_t x = nhwc_ ? 1 : 2;
        if (out.ndim() != 3 || out.element() != element_letter(view->element) || !is_aligned(out))
            return false;
        view->data = out.data();
        view->channel_stride = static_cast<std::ptrdiff_t>(out.stride(c));
        view->row_stride = static_cast<std::ptrdiff_t>(out.stride(y));
        view->pixel_stride = static_cast<std::ptrdiff_t>(out.stride(x));
        return is(out.shape(c), view->channels) && is(out.shape(y), view->height) &&
               is(out.shape(x), view->width);
    }
};

}  // namespace

void bind_image(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto anything = [](const char* name) { return nb::arg(name).none(); };
    nb::class_<ImagePlan>(module, "ImagePlan",
                          "How images of one size are placed and converted into tensors of one kind.")
        .def(nb::init<std::int64_t, std::int64_t, int, std::int64_t, std::int64_t, Table, Table, std::int64_t,
                      std::int64_t, std::int64_t, std::int64_t, int, int, int, int, bool, bool>(),
             "image_height"_a, "image_width"_a, "image_channels"_a, "canvas_height"_a, "canvas_width"_a,
             array("table"), array("pad"), "resized_height"_a, "resized_width"_a, "offset_y"_a, "offset_x"_a,
             "filter"_a, "order_0"_a, "order_1"_a, "order_2"_a, "to_gray"_a, "nhwc"_a)
        .def("write", &ImagePlan::write, anything("image"), anything("out"),
             "Write a uint8 image (H, W) or (H, W, channels) into all of `out`; False, with nothing written, "
             "if "
             "either is not an array as planned, or they overlap.")
        .def("write_yuv", &ImagePlan::write_yuv, array("y"), array("u"), array("v"), "luma_offset"_a,
             "luma"_a, "red_v"_a, "green_u"_a, "green_v"_a, "blue_u"_a, anything("out"),
             "The same for strided uint8 planes (4:2:0 or 4:2:2), as a BGR image.");
}

}  // namespace ev::bind
